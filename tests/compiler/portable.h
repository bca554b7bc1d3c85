/* 16 outputs a vector and sums of 32 bits, as with AVX512-VNNI, in plain C: to test all but its instructions. */
#define LANES 16
#define NARROW 0
#define FLIP 0

typedef int32_t wide __attribute__((vector_size(64)));
typedef wide narrow;
typedef struct {
    int8_t of[64];
} quads;

static inline quads levels_of(const uint8_t *at) {
    quads q;
    for (int i = 0; i < 64; i++) q.of[i] = (int8_t)at[i % 4];
    return q;
}
static inline quads weights_of(const int8_t *at) {
    quads q;
    memcpy(&q, at, 64);
    return q;
}
static inline wide bias_of(const int32_t *at) {
    wide w;
    memcpy(&w, at, 64);
    return w;
}
static inline narrow start_of(const int16_t *at) { return (void)at, (narrow){0}; }
static inline narrow dot(narrow sum, quads levels, quads weights) {
    for (int i = 0; i < 64; i++) sum[i / 4] += (uint8_t)levels.of[i] * weights.of[i];
    return sum;
}
static inline wide add(wide total, narrow sum) { return total + sum; }
static inline void requantize(uint8_t *out, wide total, const float *multiplier, float top) {
    for (int i = 0; i < 16; i++) {
        float level = (float)total[i] * multiplier[i];
        level = level > top ? top : level < 0 ? 0 : level;
        out[i] = (uint8_t)(level + 8388608.0f - 8388608.0f); /* to nearest, ties to even: 2^23 leaves no fraction */
    }
}
