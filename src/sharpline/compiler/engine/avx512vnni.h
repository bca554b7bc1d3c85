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

static inline void requantize(uint8_t *out, wide total, const float *multiplier, float top) {
    __m512 level = _mm512_mul_ps(_mm512_cvtepi32_ps(total), _mm512_load_ps(multiplier));
    __m512i whole = _mm512_cvtps_epi32(_mm512_min_ps(level, _mm512_set1_ps(top))); /* to nearest, ties to even */
    _mm_storeu_si128((__m128i *)out, _mm512_cvtepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512())));
}
