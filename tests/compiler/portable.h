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

typedef float floats __attribute__((vector_size(64)));

static inline floats floats_of(wide total) { return __builtin_convertvector(total, floats); }
static inline floats load(const float *at) {
    floats f;
    memcpy(&f, at, 64);
    return f;
}
static inline floats where_negative(floats x, floats yes, floats no) {
    for (int i = 0; i < 16; i++) no[i] = x[i] < 0 ? yes[i] : no[i];
    return no;
}
static inline floats all(float value) { return (floats){0} + value; }
static inline floats at_most(floats a, floats b) {
    for (int i = 0; i < 16; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
static inline floats at_least(floats a, floats b) {
    for (int i = 0; i < 16; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
static inline void store(uint8_t *out, floats level, int zero) {
    for (int i = 0; i < 16; i++) {
        float near = level[i] < -1000 ? -1000 : level[i];
        near = near + 12582912.0f - 12582912.0f + (float)zero; /* to nearest, ties to even: 1.5 * 2^23 leaves no fraction */
        out[i] = (uint8_t)(near < 0 ? 0 : near);
    }
}
