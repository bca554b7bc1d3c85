/* The instructions of AVX-VNNI and AVX512-VNNI on a processor without them: SIMDe, and the four that it lacks (0.7.4). */
#pragma once
#include_next <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32(sum, levels, weights) _mm256_dpbusd_epi32(sum, levels, weights)

typedef float lanes_f __attribute__((vector_size(64)));
typedef int32_t lanes_i __attribute__((vector_size(64)));

static inline __m512 emulated_cvtepi32_ps(__m512i x) { return (__m512)__builtin_convertvector((lanes_i)x, lanes_f); }
static inline __m512i emulated_cvtps_epi32(__m512 x) {
    lanes_f in = (lanes_f)x;
    lanes_i out;
    for (int i = 0; i < 16; i++) out[i] = _mm_cvtss_si32(_mm_set_ss(in[i]));
    return (__m512i)out;
}
static inline __m128i emulated_cvtepi32_epi8(__m512i x) {
    lanes_i in = (lanes_i)x;
    int8_t out[16];
    for (int i = 0; i < 16; i++) out[i] = (int8_t)in[i];
    return _mm_loadu_si128((const __m128i *)out);
}
#define _mm512_cvtepi32_ps(x) emulated_cvtepi32_ps(x)
#define _mm512_cvtps_epi32(x) emulated_cvtps_epi32(x)
#define _mm512_cvtepi32_epi8(x) emulated_cvtepi32_epi8(x)
