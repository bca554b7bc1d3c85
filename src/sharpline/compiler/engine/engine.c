/* The engine around the kernels: bands for the threads, a window of rows in each, borders, the shuffle, the ABI.
 *
 * A band of output rows is computed in blocks of ROWS rows. In each block every layer makes the rows that the next one
 * needs, from a ring of rows that holds no more than that: with few rows all of it stays in the cache, with ROWS as
 * high as the picture it is the network layer by layer. Bands know nothing of each other; the rows around their edges
 * are computed twice.
 *
 * network.h, generated, has: SCALE, COLOURS, LAYERS, ANCHORED, REACH, ROWS, TILE, STEPS, INFO, layers[], BORDERS and
 * borders[], the levels that borders are made of. */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include TARGET_HEADER
#include "kernel.h"

enum { EDGE = -1 };

typedef struct {
    int radius, in_stride, out_stride, border, blocks; /* border: which of borders[], EDGE repeats the edge */
    ends out;
    const block *block; /* those of the last channels first */
} layer;

#include "network.h"

#define EXPORT __attribute__((visibility("default")))
#define ALIGNED(n) (((n) + 63) & ~(int64_t)63)
#define MOST_THREADS 256
#define MOST_RADIUS 15
#define LEAST_ROWS 8 /* of a band: a thread more has to be worth it */
#define LARGEST 1000000

enum { DONE = 0, BAD_SIZE = 1, BAD_STRIDE = 2, BAD_POINTER = 3, BAD_THREADS = 4, SMALL_SCRATCH = 5 };

typedef struct { /* the newest rows of one layer's input, each with a border left and right */
    uint8_t *first;
    int64_t bytes, rows;
    int radius, stride, border; /* pixels of border; bytes of a pixel; as in layer */
    int64_t next, ahead; /* row to come; rows that it has to be ahead of the output */
} ring;

typedef struct { /* output rows [from, to) of a picture, and where to work */
    const uint8_t *lr;
    uint8_t *sr, *scratch;
    int64_t height, width, lr_stride, sr_stride, from, to, most; /* most: rows of any band of this picture */
} band;

typedef struct {
    ring inputs[LAYERS], anchor;
    uint8_t *borders, *blocks; /* a row of each border; a row of output, not yet shuffled */
    ptrdiff_t *places;
    int64_t rows, longest, bytes; /* rows a block; bytes of the longest row; bytes of it all */
} room;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t tiles_of(int64_t width) { return (width + TILE - 1) / TILE; }

static int64_t row_bytes(int64_t width, int radius, int stride) {
    return ALIGNED((tiles_of(width) * TILE + 2 * radius) * stride + 64); /* 64: the last vector may run over */
}

static ring ring_in(room *r, const band *b, int radius, int stride, int border, int64_t ahead) {
    int64_t bytes = row_bytes(b->width, radius, stride);
    ring made = {b->scratch + r->bytes, bytes, r->rows + 2 * radius, radius, stride, border, 0, ahead};
    made.next = b->from > ahead ? b->from - ahead : 0;
    r->bytes += made.bytes * made.rows;
    return made;
}

static room lay_out(const band *b) {
    room r = {.rows = least(ROWS, b->most + 2 * REACH)};
    int64_t ahead = 0;
    for (int l = LAYERS - 1; l >= 0; l--) {
        ahead += layers[l].radius;
        r.inputs[l] = ring_in(&r, b, layers[l].radius, layers[l].in_stride, layers[l].border, ahead);
        r.longest = r.inputs[l].bytes > r.longest ? r.inputs[l].bytes : r.longest;
    }
    if (ANCHORED) r.anchor = ring_in(&r, b, 1, 4, EDGE, 1);
    r.borders = b->scratch + r.bytes;
    r.blocks = r.borders + BORDERS * r.longest;
    r.places = (ptrdiff_t *)(r.blocks + row_bytes(b->width, 0, layers[LAYERS - 1].out_stride));
    r.bytes = (uint8_t *)r.places - b->scratch + ALIGNED(STEPS * (int64_t)sizeof(ptrdiff_t));
    return r;
}

static uint8_t *row_of(const ring *r, int64_t y) { return r->first + y % r->rows * r->bytes + r->radius * r->stride; }

static void read_picture(const band *b, int64_t y, uint8_t *row) {
    const uint8_t *from = b->lr + y * b->lr_stride;
    for (int64_t x = 0; x < b->width; x++, row += 4, from += COLOURS)
        for (int c = 0; c < 4; c++) row[c] = c < COLOURS ? from[c] ^ FLIP : FLIP;
}

/* A border left and right; over what the last tile wrote beyond the row. */
static void close_row(uint8_t *row, int64_t width, const ring *r) {
    size_t pixel = (size_t)r->stride, bytes = (size_t)r->radius * pixel;
    uint8_t *end = row + width * r->stride;
    if (r->border != EDGE) {
        memset(row - bytes, borders[r->border] ^ FLIP, bytes);
        memset(end, borders[r->border] ^ FLIP, bytes);
        return;
    }
    for (size_t at = 0; at < bytes; at += pixel) {
        memcpy(row - bytes + at, row, pixel);
        memcpy(end + at, end - pixel, pixel);
    }
}

static void write_picture(const band *b, int64_t y, const uint8_t *blocks) {
    enum { RUN = SCALE * COLOURS };
    for (int i = 0; i < SCALE; i++) {
        uint8_t *to = b->sr + (y * SCALE + i) * b->sr_stride;
        const uint8_t *from = blocks + i * RUN;
        for (int64_t x = 0; x < b->width; x++, to += RUN, from += layers[LAYERS - 1].out_stride)
            for (int j = 0; j < RUN; j++) to[j] = from[j] ^ FLIP;
    }
}

/* Where the steps of a part read, relative to the row in the middle. */
static ptrdiff_t *place(ptrdiff_t *places, const part *p, const uint8_t *const *around, int radius) {
    for (int s = 0; s < p->steps; s++)
        places[s] = around[p->places[2 * s]] - around[radius] + p->places[2 * s + 1];
    return places + p->steps;
}

static void compute_row(const room *r, int l, int64_t y, int64_t width, int64_t height, uint8_t *out) {
    const uint8_t *around[2 * MOST_RADIUS + 1], *picture[3] = {0};
    const ring *in = &r->inputs[l];
    for (int i = 0, radius = in->radius; i <= 2 * radius; i++) {
        int64_t at = y + i - radius, near = least(at > 0 ? at : 0, height - 1);
        around[i] = at == near || in->border == EDGE ? row_of(in, near)
                                                     : r->borders + in->border * r->longest + radius * in->stride;
    }
    for (int i = 0; ANCHORED && l == LAYERS - 1 && i < 3; i++)
        picture[i] = row_of(&r->anchor, least(y + i > 0 ? y + i - 1 : 0, height - 1));
    const uint8_t *const rows[2] = {around[in->radius], picture[1]};
    for (int i = 0; i < layers[l].blocks; i++) {
        const block *b = &layers[l].block[i];
        ptrdiff_t *second = place(r->places, &b->parts[0], around, in->radius);
        place(second, &b->parts[1], picture, 1);
        b->run(b, layers[l].out, rows, (const ptrdiff_t *const[]){r->places, second}, out, tiles_of(width));
    }
}

static void *run_band(void *argument) {
    const band *b = argument;
    room r = lay_out(b);
    for (int i = 0; i < BORDERS; i++) memset(r.borders + i * r.longest, borders[i] ^ FLIP, (size_t)r.longest);
    for (int64_t end = b->from - 2 * REACH + r.rows, y = b->from; y < b->to; end += r.rows) {
        int64_t until = least(end, b->to);
        for (int l = 0; l < LAYERS; l++)
            for (ring *in = &r.inputs[l]; in->next < least(until + in->ahead, b->height); in->next++) {
                uint8_t *row = row_of(in, in->next);
                if (l == 0)
                    read_picture(b, in->next, row);
                else
                    compute_row(&r, l - 1, in->next, b->width, b->height, row);
                close_row(row, b->width, in);
            }
        for (; ANCHORED && r.anchor.next < least(until + 1, b->height); r.anchor.next++) {
            read_picture(b, r.anchor.next, row_of(&r.anchor, r.anchor.next));
            close_row(row_of(&r.anchor, r.anchor.next), b->width, &r.anchor);
        }
        for (; y < until; y++) {
            compute_row(&r, LAYERS - 1, y, b->width, b->height, r.blocks);
            write_picture(b, y, r.blocks);
        }
    }
    return NULL;
}

static int64_t bands_of(int64_t height, int threads) {
    return least(threads, (height + LEAST_ROWS - 1) / LEAST_ROWS);
}

static int fits(int64_t height, int64_t width, int threads) {
    if (height < 1 || width < 1 || height > LARGEST || width > LARGEST) return BAD_SIZE;
    return threads < 1 || threads > MOST_THREADS ? BAD_THREADS : DONE;
}

EXPORT const char *sharpline_info(void) { return INFO; }

EXPORT int64_t sharpline_scratch(int64_t height, int64_t width, int threads) {
    if (fits(height, width, threads) != DONE) return -1;
    int64_t bands = bands_of(height, threads);
    band b = {.height = height, .width = width, .most = (height + bands - 1) / bands};
    return bands * lay_out(&b).bytes + 63; /* 63: it may begin anywhere */
}

EXPORT int sharpline_upscale(const uint8_t *lr, int64_t height, int64_t width, int64_t lr_stride, uint8_t *sr,
                             int64_t sr_stride, int threads, void *scratch, int64_t scratch_bytes) {
    int refused = fits(height, width, threads);
    if (refused) return refused;
    if (lr_stride < width * COLOURS || sr_stride < width * SCALE * COLOURS) return BAD_STRIDE;
    if (!lr || !sr || !scratch) return BAD_POINTER;
    if (scratch_bytes < sharpline_scratch(height, width, threads)) return SMALL_SCRATCH;
    int64_t bands = bands_of(height, threads);
    uint8_t *room_at = (uint8_t *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    band all[MOST_THREADS];
    pthread_t helpers[MOST_THREADS];
    int started[MOST_THREADS] = {0};
    for (int64_t i = bands - 1; i >= 0; i--) {
        all[i] = (band){lr, sr, room_at, height, width, lr_stride, sr_stride, height * i / bands,
                        height * (i + 1) / bands, (height + bands - 1) / bands};
        room_at += lay_out(&all[i]).bytes;
        started[i] = i > 0 && pthread_create(&helpers[i], NULL, run_band, &all[i]) == 0;
    }
    for (int64_t i = 0; i < bands; i++)
        if (!started[i]) run_band(&all[i]);
    for (int64_t i = 1; i < bands; i++)
        if (started[i]) pthread_join(helpers[i], NULL);
    return DONE;
}
