/* arm64 without dot products: products in 16 bits, summed there as long as they cannot leave them. */
#include "arm64.h"

#define NARROW 16 /* 16-bit sums a vector */

typedef int16x8x2_t narrow;

static inline narrow start_of(const int16_t *at) { return (narrow){{vld1q_s16(at), vld1q_s16(at + 8)}}; }
static inline narrow dot(narrow sum, quads levels, quads weights) {
    int16x8_t first = vmlal_s8(sum.val[0], vget_low_s8(levels), vget_low_s8(weights));
    return (narrow){{first, vmlal_high_s8(sum.val[1], levels, weights)}};
}
static inline wide add(wide total, narrow sum) {
    return vaddq_s32(total, vpaddq_s32(vpaddlq_s16(sum.val[0]), vpaddlq_s16(sum.val[1])));
}
