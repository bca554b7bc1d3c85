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

typedef __m256 floats;

static inline floats floats_of(wide total) { return _mm256_cvtepi32_ps(total); }
static inline floats load(const float *at) { return _mm256_load_ps(at); }
static inline floats where_negative(floats x, floats yes, floats no) { return _mm256_blendv_ps(no, yes, x); }
static inline floats all(float value) { return _mm256_set1_ps(value); }
static inline floats at_most(floats a, floats b) { return _mm256_min_ps(a, b); }
static inline floats at_least(floats a, floats b) { return _mm256_max_ps(a, b); }

static inline void store(uint8_t *out, floats level, int zero) {
    __m256i whole = _mm256_cvtps_epi32(level); /* to nearest, ties to even */
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    words = _mm_adds_epi16(words, _mm_set1_epi16((int16_t)zero));
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(words, words));
}
