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

typedef float32x4_t floats;

static inline floats floats_of(wide total) { return vcvtq_f32_s32(total); }
static inline floats load(const float *at) { return vld1q_f32(at); }
static inline floats where_negative(floats x, floats yes, floats no) { return vbslq_f32(vcltzq_f32(x), yes, no); }
static inline floats all(float value) { return vdupq_n_f32(value); }
static inline floats at_most(floats a, floats b) { return vminq_f32(a, b); }
static inline floats at_least(floats a, floats b) { return vmaxq_f32(a, b); }

static inline void store(uint8_t *out, floats level, int zero) {
    int32x4_t whole = vaddq_s32(vcvtnq_s32_f32(level), vdupq_n_s32(zero)); /* to nearest, ties to even */
    uint16x4_t words = vqmovun_s32(whole);
    uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(words, words))), 0) ^ 0x80808080u;
    memcpy(out, &four, 4);
}
