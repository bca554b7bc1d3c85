/* A convolution over a row: PIXELS x VECTORS sums in registers, over all of its steps.
 *
 * A step is four neighbouring input channels at one place of the kernel. On machines that sum products in 16 bits the
 * steps come in groups of which the packing proved that no sum leaves 16 bits, whatever the picture; only then are
 * they added up in 32 bits. Machines with dot products in 32 bits have one group. */

typedef struct { /* steps over one source: the features, or the picture for the anchor */
    int steps, groups;
    const int32_t *places;   /* a step: row of the kernel, offset in it */
    const int32_t *lengths;  /* steps of each group */
    const int8_t *weights;   /* a step: VECTORS x LANES x 4 */
    const int16_t *starts;   /* a group: VECTORS x NARROW: where the sums begin, so that they use all of 16 bits */
} part;

typedef struct block block;
typedef struct { /* of a layer's levels */
    float span; /* from zero to the top */
    int zero;   /* the level that stands for 0 */
} ends;
typedef void kernel(const block *, ends, const uint8_t *const rows[2], const ptrdiff_t *const places[2], uint8_t *out,
                    int64_t tiles);
struct block { /* VECTORS x LANES outputs */
    kernel *run;
    int first;
    const int32_t *bias;
    const float *multiplier, *second; /* second: of what is negative (PReLU), of tanh */
    part parts[2];
};

#define MOST_PIXELS 8 /* of a tile; such arrays become registers */
#define MOST_VECTORS 4
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < n; i++)
#define ALIGN __attribute__((aligned(64)))
#define INLINE static inline __attribute__((always_inline))

INLINE void sum_part(const int pixels, const int vectors, const int64_t stride, const part *p, const uint8_t *row,
                     const ptrdiff_t *place, wide total[MOST_PIXELS][MOST_VECTORS]) {
    const int8_t *weights = p->weights;
    const int16_t *start = p->starts;
    for (int group = 0; group < p->groups; group++) {
        narrow sum[MOST_PIXELS][MOST_VECTORS];
        EACH(v, vectors) EACH(i, pixels) sum[i][v] = start_of(start + v * NARROW);
        start += vectors * NARROW;
        for (const ptrdiff_t *end = place + p->lengths[group]; place < end; place++) {
            const uint8_t *at = row + *place;
            quads w[MOST_VECTORS];
            EACH(v, vectors) w[v] = weights_of(weights + v * 4 * LANES);
            weights += vectors * 4 * LANES;
            EACH(i, pixels) {
                quads levels = levels_of(at + i * stride);
                EACH(v, vectors) sum[i][v] = dot(sum[i][v], levels, w[v]);
            }
        }
        EACH(i, pixels) EACH(v, vectors) total[i][v] = add(total[i][v], sum[i][v]);
    }
}

enum { RELU, PRELU, TANH };

/* bend() of runtime/integer.py: the same operations in the same order. */
INLINE floats bend(floats x) {
    x = at_least(at_most(x, all(5)), all(-5));
    floats s = x * x;
    floats above = ((s + all(378)) * s + all(17325)) * s + all(135135);
    floats below = ((s * all(28) + all(3150)) * s + all(62370)) * s + all(135135);
    return x * above / below;
}

INLINE void requantize(const int activation, uint8_t *out, wide total, const float *multiplier, const float *second, ends e) {
    floats level = floats_of(total) * load(multiplier);
    if (activation == PRELU) level = where_negative(level, level * load(second), level);
    if (activation == TANH) level = bend(level) * load(second);
    store(out, at_most(level, all(e.span)), activation == RELU ? 0 : e.zero);
}

INLINE void convolve(const int pixels, const int vectors, const int64_t in_stride, const int64_t out_stride,
                     const int anchored, const int activation, const block *b, ends e, const uint8_t *const rows[2],
                     const ptrdiff_t *const places[2], uint8_t *out, int64_t tiles) {
    const uint8_t *row = rows[0], *picture = rows[1];
    for (out += b->first; tiles > 0; tiles--, row += pixels * in_stride, out += pixels * out_stride) {
        wide total[MOST_PIXELS][MOST_VECTORS];
        EACH(i, pixels) EACH(v, vectors) total[i][v] = bias_of(b->bias + v * LANES);
        sum_part(pixels, vectors, in_stride, &b->parts[0], row, places[0], total);
        if (anchored) {
            sum_part(pixels, vectors, 4, &b->parts[1], picture, places[1], total);
            picture += pixels * 4;
        }
        /* Channels beyond the last may run into the next pixel, which is written later: in a row, and by the block
         * of the first channels, which comes last. */
        EACH(i, pixels) EACH(v, vectors)
            requantize(activation, out + i * out_stride + v * LANES, total[i][v], b->multiplier + v * LANES,
                       b->second + v * LANES, e);
    }
}

#define KERNEL(name, pixels, vectors, in_stride, out_stride, anchored, activation)                                     \
    static void name(const block *b, ends e, const uint8_t *const rows[2], const ptrdiff_t *const places[2],           \
                     uint8_t *out, int64_t tiles) {                                                                    \
        convolve(pixels, vectors, in_stride, out_stride, anchored, activation, b, e, rows, places, out, tiles);        \
    }
