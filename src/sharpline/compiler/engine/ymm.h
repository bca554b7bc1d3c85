/* x86-64 with vectors of 256 bits: 8 outputs each. */
#include <immintrin.h>

#define LANES 8
#define FLIP 0 /* levels are kept as they are */

typedef __m256i wide;
typedef __m256i quads; /* four levels of one pixel, for every lane; or four weights of each lane */

static inline quads levels_of(const uint8_t *at) {
    int32_t four;
    memcpy(&four, at, 4);
    return _mm256_set1_epi32(four);
}
static inline quads weights_of(const int8_t *at) { return _mm256_load_si256((const __m256i *)at); }
static inline wide bias_of(const int32_t *at) { return _mm256_load_si256((const __m256i *)at); }

static inline void requantize(uint8_t *out, wide total, const float *multiplier, float top) {
    __m256 level = _mm256_mul_ps(_mm256_cvtepi32_ps(total), _mm256_load_ps(multiplier));
    __m256i whole = _mm256_cvtps_epi32(_mm256_min_ps(level, _mm256_set1_ps(top))); /* to nearest, ties to even */
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(words, words));
}
