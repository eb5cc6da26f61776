// Runs an exported network on a file of pictures: `outputs PICTURES ANSWERS` writes what it puts
// out for each picture, `layers PICTURES ANSWERS` what each layer does for one.

#if defined __unix__ || defined __APPLE__
#define _POSIX_C_SOURCE 200112L
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#define HAS_FORK
#endif

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *layers;

// Writes numbers with the least significant byte first.
static void put(FILE *file, const float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const union { float number; uint32_t bits; } word = { numbers[i] };
        for (int shift = 0; shift < 32; shift += 8) {
            putc((int)(word.bits >> shift & 255), file);
        }
    }
}

#define NETWORK_OBSERVE(layer, numbers, count) (layers ? put(layers, numbers, count) : (void)0)
#include "network.c"

// Predicts the pictures from `first` up to `end`.
static int run(const char *pictures, const char *answers, long first, long end) {
    static uint8_t picture[NETWORK_PIXELS];
    static float outputs[NETWORK_OUTPUTS];
    FILE *from = fopen(pictures, "rb"), *to = fopen(answers, "rb+");
    int failed = !from || !to || fseek(from, first * NETWORK_PIXELS, SEEK_SET) ||
                 fseek(to, first * NETWORK_OUTPUTS * 4, SEEK_SET);
    for (long at = first; !failed && at < end; at++) {
        failed = fread(picture, 1, NETWORK_PIXELS, from) != NETWORK_PIXELS;
        if (!failed) {
            network_predict(picture, outputs);
            put(to, outputs, NETWORK_OUTPUTS);
        }
    }
    return failed || ferror(to) || fclose(to);
}

int main(int count, char **words) {
    if (count != 4) {
        return 2;
    }
    const char *pictures = words[2], *answers = words[3];
    FILE *file = fopen(pictures, "rb"), *to = fopen(answers, "wb");
    if (!file || !to || fseek(file, 0, SEEK_END)) {
        return 1;
    }
    const long all = ftell(file) / NETWORK_PIXELS;
    if (strcmp(words[1], "layers") == 0) {
        static uint8_t picture[NETWORK_PIXELS];
        static float outputs[NETWORK_OUTPUTS];
        rewind(file);
        if (fread(picture, 1, NETWORK_PIXELS, file) != NETWORK_PIXELS) {
            return 1;
        }
        layers = to;
        network_predict(picture, outputs);
        return ferror(to) || fclose(to) ? 1 : 0;
    }
    if (fclose(to)) {
        return 1;
    }
    int failed = 0;
#ifdef HAS_FORK
    // How many processes there may be.
    const char *asked = getenv("ASTERISM_THREADS");
    const long parts = asked && atol(asked) > 0 ? atol(asked) : 1;
    for (long part = 0; part < parts; part++) {
        const pid_t child = fork();
        if (child == 0) {
            const long first = all * part / parts, end = all * (part + 1) / parts;
            _exit(run(pictures, answers, first, end) ? 1 : 0);
        }
        failed |= child < 0;
    }
    int status;
    while (wait(&status) > 0) {
        failed |= status != 0;
    }
#else
    failed = run(pictures, answers, 0, all);
#endif
    return failed ? 1 : 0;
}
