/* x86-64 with AVX512-VNNI: 16 outputs a vector; four products a lane, added up in 32 bits. */
#include <immintrin.h>

#define LANES 16
#define NARROW 0
#define FLIP 0 /* levels are kept as they are */

typedef __m512i narrow;
typedef __m512i wide;
typedef __m512i quads; /* four levels of one pixel, for every lane; or four weights of each lane */

static inline quads levels_of(const uint8_t *at) {
    int32_t four;
    memcpy(&four, at, 4);
    return _mm512_set1_epi32(four);
}
static inline quads weights_of(const int8_t *at) { return _mm512_load_si512(at); }
static inline wide bias_of(const int32_t *at) { return _mm512_load_si512(at); }
static inline narrow start_of(const int16_t *at) { return (void)at, _mm512_setzero_si512(); }
static inline narrow dot(narrow sum, quads levels, quads weights) { return _mm512_dpbusd_epi32(sum, levels, weights); }
static inline wide add(wide total, narrow sum) { return _mm512_add_epi32(total, sum); }

typedef __m512 floats;

static inline floats floats_of(wide total) { return _mm512_cvtepi32_ps(total); }
static inline floats load(const float *at) { return _mm512_load_ps(at); }
static inline floats where_negative(floats x, floats yes, floats no) {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x)), no, yes);
}
static inline floats all(float value) { return _mm512_set1_ps(value); }
static inline floats at_most(floats a, floats b) { return _mm512_min_ps(a, b); }
static inline floats at_least(floats a, floats b) { return _mm512_max_ps(a, b); }

static inline void store(uint8_t *out, floats level, int zero) {
    __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(level), _mm512_set1_epi32(zero)); /* to nearest, ties to even */
    _mm_storeu_si128((__m128i *)out, _mm512_cvtepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512())));
}
