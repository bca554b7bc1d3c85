/* x86-64 with AVX2: pairs of products in 16 bits, summed there as long as they cannot leave them. */
#include "ymm.h"

#define NARROW 16 /* 16-bit sums a vector */

typedef __m256i narrow;

static inline narrow start_of(const int16_t *at) { return _mm256_load_si256((const __m256i *)at); }
static inline narrow dot(narrow sum, quads levels, quads weights) {
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(levels, weights));
}
static inline wide add(wide total, narrow sum) {
    return _mm256_add_epi32(total, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
}
