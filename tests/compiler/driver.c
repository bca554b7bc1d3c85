/* Runs a library on an emulated processor: driver LIBRARY HEIGHT WIDTH THREADS COLOURS SCALE < picture > result */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MARGIN 64 /* bytes around the result that nobody may touch */

typedef int upscale(const uint8_t *, int64_t, int64_t, int64_t, uint8_t *, int64_t, int, void *, int64_t);
typedef int64_t scratch(int64_t, int64_t, int);

int main(int count, char **arguments) {
    void *library = count == 7 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    if (!library) return fprintf(stderr, "%s\n", count == 7 ? dlerror() : "usage"), 100;
    int64_t height = atoi(arguments[2]), width = atoi(arguments[3]), row = width * atoi(arguments[5]);
    int threads = atoi(arguments[4]), scale = atoi(arguments[6]);
    int64_t bytes = ((scratch *)dlsym(library, "sharpline_scratch"))(height, width, threads);
    int64_t result = height * row * scale * scale;
    uint8_t *lr = malloc(height * row), *sr = calloc(result + 2 * MARGIN, 1), *room = malloc(bytes);
    if (fread(lr, 1, height * row, stdin) != (size_t)(height * row)) return 101;
    int code = ((upscale *)dlsym(library, "sharpline_upscale"))(lr, height, width, row, sr + MARGIN, row * scale,
                                                              threads, room, bytes);
    for (int i = 0; i < MARGIN; i++)
        if (sr[i] || sr[MARGIN + result + i]) return 102;
    fwrite(sr + MARGIN, 1, result, stdout);
    return code;
}
