/* arm64: 4 outputs a vector. Both factors have to be of one sign, so levels are kept less 128, -128..127. */
#include <arm_neon.h>

#define LANES 4
#define FLIP 128

typedef int32x4_t wide;
typedef int8x16_t quads; /* four levels of one pixel, for every lane; or four weights of each lane */

static inline quads levels_of(const uint8_t *at) {
    uint32_t four;
    memcpy(&four, at, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(four));
}
static inline quads weights_of(const int8_t *at) { return vld1q_s8(at); }
static inline wide bias_of(const int32_t *at) { return vld1q_s32(at); }

static inline void requantize(uint8_t *out, wide total, const float *multiplier, float top) {
    float32x4_t level = vmulq_f32(vcvtq_f32_s32(total), vld1q_f32(multiplier));
    int32x4_t whole = vcvtnq_s32_f32(vminq_f32(level, vdupq_n_f32(top))); /* to nearest, ties to even */
    uint16x4_t words = vqmovun_s32(whole);
    uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(words, words))), 0) ^ 0x80808080u;
    memcpy(out, &four, 4);
}
