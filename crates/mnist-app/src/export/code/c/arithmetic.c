//# multiply_add
// a * b + c, rounded once. C99 has fmaf(), but as a library call, which some libraries round twice.
// Define NETWORK_FMAF to call it (`#include <math.h>`) where it is an instruction of the processor:
// the same bits, and much faster.
//
// The product of two floats is exact as a double. The sum is rounded to a double, and its error is
// known exactly; if there is one, the last bit is made 1 ("rounded to odd"), by which the second
// rounding, to float, sees on which side of the middle between two floats the sum lies.
#ifdef NETWORK_FMAF
#include <math.h>
#define multiply_add fmaf
#else
static float multiply_add(float a, float b, float c) {
    const double product = (double)a * (double)b, sum = product + (double)c;
    union { double number; uint64_t bits; } odd = { sum };
#if !defined __SSE2__ && !defined __aarch64__
    // Most sums are neither near the middle, nor so small that floats have fewer bits. To look first
    // is faster where doubles are slow, but keeps compilers from computing several at a time.
    const int is_small = sum < 2.4e-38 && sum > -2.4e-38 && (sum > 0.0 || sum < 0.0);
    if ((odd.bits & 0x1fffffff) != 0x10000000 && !is_small) {
        return (float)sum;
    }
#endif
    const double back = sum - product;
    const double error = (product - (sum - back)) + ((double)c - back);
    // An infinite sum has an error that is NaN.
    const uint64_t is_inexact = (error > 0.0) | (error < 0.0);
    // One step away from 0, or towards it.
    const uint64_t step = (error > 0.0) == (sum > 0.0) ? 1 : (uint64_t)-1;
    odd.bits += is_inexact & ~odd.bits & 1 ? step : 0;
    return (float)odd.number;
}
#endif

//# add_products multiply_add
// sums += weight * numbers, each rounded once.
static void add_products(const float *numbers, float weight, float *sums, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sums[i] = multiply_add(numbers[i], weight, sums[i]);
    }
}

//# sum_of_lanes
// The sum of 16 numbers, the upper half added to the lower half until one is left.
static float sum_of_lanes(float lanes[16]) {
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

//# sums multiply_add sum_of_lanes
// Rows of numbers that are summed together.
struct rows {
    size_t count, len;
    size_t pitch; // from the start of one row to the next
};

struct sums {
    float sum[16], squares[16];
};

static struct sums sums_of_blocks(const float *numbers, const struct rows *rows, size_t first,
                                  size_t count, float mean) {
    struct sums total;
    if (count > 1) {
        size_t half = 1;
        while (2 * half < count) {
            half *= 2;
        }
        total = sums_of_blocks(numbers, rows, first, half, mean);
        const struct sums other = sums_of_blocks(numbers, rows, first + half, count - half, mean);
        for (size_t lane = 0; lane < 16; lane++) {
            total.sum[lane] += other.sum[lane];
            total.squares[lane] += other.squares[lane];
        }
        return total;
    }
    const size_t per_row = (rows->len + 1023) / 1024, start = first % per_row * 1024;
    const size_t len = rows->len - start < 1024 ? rows->len - start : 1024;
    // Groups of 16 are dealt to four sums in turn; what is less than a group goes to the last.
    struct sums dealt[4];
    for (size_t to = 0; to < 4; to++) {
        for (size_t lane = 0; lane < 16; lane++) {
            dealt[to].sum[lane] = dealt[to].squares[lane] = 0.0f;
        }
    }
    numbers += first / per_row * rows->pitch + start;
    for (size_t i = 0; i < len; i++) {
        const size_t lane = i % 16, to = i - lane + 16 <= len ? i / 16 % 4 : 3;
        const float centred = numbers[i] - mean;
        dealt[to].sum[lane] += centred;
        dealt[to].squares[lane] = multiply_add(centred, centred, dealt[to].squares[lane]);
    }
    for (size_t lane = 0; lane < 16; lane++) {
        total.sum[lane] = (dealt[0].sum[lane] + dealt[1].sum[lane]) +
                          (dealt[2].sum[lane] + dealt[3].sum[lane]);
        total.squares[lane] = (dealt[0].squares[lane] + dealt[1].squares[lane]) +
                              (dealt[2].squares[lane] + dealt[3].squares[lane]);
    }
    return total;
}

// The sums of x - mean and of its squares over the numbers of some rows.
//
// A row is divided into blocks of 64 times 16 numbers. The blocks are added in pairs, the pairs in
// pairs and so on, so that rounding errors do not pile up.
static float sums(const float *numbers, const struct rows *rows, float mean, float *squares) {
    const size_t blocks = rows->count * ((rows->len + 1023) / 1024);
    struct sums total = sums_of_blocks(numbers, rows, 0, blocks, mean);
    *squares = sum_of_lanes(total.squares);
    return sum_of_lanes(total.sum);
}

//# square_root
// The square root of a number that is not negative, correctly rounded: the root of a whole number,
// bit by bit, with enough bits for the rounding.
static float square_root(float x) {
    union { float number; uint32_t bits; } word = { x };
    if (!(x > 0.0f) || word.bits >= 0x7f800000) {
        return x;
    }
    // x = mantissa * 2^exponent, with an even exponent.
    uint64_t mantissa = word.bits & 0x7fffff;
    int32_t exponent = (int32_t)(word.bits >> 23);
    if (exponent > 0) {
        mantissa |= 0x800000;
        exponent -= 1;
    }
    exponent -= 149;
    while (mantissa < 0x800000 || exponent % 2 != 0) {
        mantissa *= 2;
        exponent -= 1;
    }
    uint64_t rest = mantissa << 30, root = 0;
    for (uint64_t bit = (uint64_t)1 << 56; bit > 0; bit /= 4) {
        if (rest >= root + bit) {
            rest -= root + bit;
            root += 2 * bit;
        }
        root /= 2;
    }
    // The last bit says that there is a rest; the conversion rounds.
    word.bits = (uint32_t)(exponent / 2 - 15 + 127) << 23;
    return (float)(double)(root | (rest > 0)) * word.number;
}

//# polynomial multiply_add
// c[0] + c[1] x + c[2] x^2 + ...
static float polynomial(float x, const float *c, size_t count) {
    float sum = c[count - 1];
    for (size_t i = count - 1; i-- > 0;) {
        sum = multiply_add(sum, x, c[i]);
    }
    return sum;
}

//# absolute
static float absolute(float x) {
    union { float number; uint32_t bits; } word = { x };
    word.bits &= 0x7fffffff;
    return word.number;
}

//# exponential polynomial absolute
// 2^k for the whole number in the low bits of `shifted`.
static float power_of_two(float shifted) {
    union { float number; uint32_t bits; } word = { shifted };
    word.bits = (word.bits << 23) + 0x3f800000;
    return word.number;
}

// exp x = 2^k exp r, with x = k ln 2 + r.
static float exponential(float x) {
    // 1 / 2!, 1 / 3!, ...
    static const float series[6] = { 0.5f,          0.16666667f,   0.041666668f,
                                     0.008333334f,  0.0013888889f, 0.0001984127f };
    // 1.5 * 2^23: adding it rounds a number to a whole one, which is left in the low bits.
    const float round = 12582912.0f;
    // ln 2 in two parts, so that nothing is lost.
    const float ln_2_high = 0.69314575f, ln_2_low = 1.4286068e-6f;
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float k = multiply_add(x, 1.442695f, round) - round;
    const float high = multiply_add(k, -ln_2_high, x);
    const float r = multiply_add(k, -ln_2_low, high);
    const float lost = multiply_add(k, -ln_2_low, high - r);
    const float sum = 1.0f + r;
    const float rest = multiply_add(r * r, polynomial(r, series, 6), (1.0f - sum) + r + lost);
    // 2^k as two factors, since a single exponent does not span the whole range.
    const float half = multiply_add(k, 0.5f, round);
    const float a = power_of_two(half), b = power_of_two((k - (half - round)) + round);
    return (sum + rest) * a * b;
}

//# fill
static void fill(float *numbers, size_t count, float value) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = value;
    }
}
