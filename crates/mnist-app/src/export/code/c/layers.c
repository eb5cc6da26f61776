//# standardize
// (x - mean) / deviation of each channel.
static void standardize(float *numbers, size_t count, size_t plane, const float *mean,
                        const float *deviation) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (numbers[i] - mean[i / plane]) / deviation[i / plane];
    }
}

//# batch_norm multiply_add
// scale (x - mean) + shift of each channel.
static void batch_norm(float *numbers, size_t count, size_t plane, const float *mean,
                       const float *scale, const float *shift) {
    for (size_t i = 0; i < count; i++) {
        const size_t c = i / plane;
        numbers[i] = multiply_add(numbers[i] - mean[c], scale[c], shift[c]);
    }
}

//# group_norm sums square_root multiply_add
struct group_norm {
    size_t groups, channels;
    float epsilon;
};

// weight (x - mean) / sqrt(variance + epsilon) + bias with the mean and the variance of each group
// of channels.
static void group_norm(float *numbers, size_t count, const float *weight, const float *bias,
                       const struct group_norm *size) {
    const struct rows rows = { 1, count / size->groups, 0 };
    const size_t plane = count / size->channels;
    const float share = 1.0f / (float)rows.len;
    for (size_t group = 0; group < size->groups; group++) {
        float squares;
        const float rounded = sums(numbers, &rows, 0.0f, &squares) * share;
        // What the rounding of the mean left.
        const float left = sums(numbers, &rows, rounded, &squares);
        const float mean = rounded + left * share;
        squares = squares - left * left * share;
        squares = squares < 0.0f ? 0.0f : squares;
        const float inverse = 1.0f / square_root(squares * share + size->epsilon);
        for (size_t i = 0; i < rows.len; i++) {
            const size_t c = group * (size->channels / size->groups) + i / plane;
            *numbers = multiply_add(*numbers - mean, inverse * weight[c], bias[c]);
            numbers++;
        }
    }
}

//# windows
struct windows {
    size_t channels, height, width, window_height, window_width, stride_y, stride_x;
    size_t top, bottom, left, right, out_height, out_width;
};

// The first row or column in a window, the one after the last, and how many there are with those of
// the padding.
struct window {
    size_t start, end, padded;
};

static struct window window(size_t index, size_t stride, size_t size, size_t before, size_t after,
                            size_t len) {
    const size_t start = index * stride, end = start + size, all = before + len + after;
    struct window window;
    window.start = start > before ? start - before : 0;
    window.end = end - before < len ? end - before : len;
    window.padded = (end < all ? end : all) - start;
    return window;
}

static struct window rows_of_window(const struct windows *size, size_t y) {
    return window(y, size->stride_y, size->window_height, size->top, size->bottom, size->height);
}

static struct window columns_of_window(const struct windows *size, size_t x) {
    return window(x, size->stride_x, size->window_width, size->left, size->right, size->width);
}

//# max_pool windows
// The largest number of each window.
static void max_pool(const float *input, float *output, const struct windows *size) {
    for (size_t c = 0; c < size->channels; c++) {
        for (size_t at = 0; at < size->out_height * size->out_width; at++) {
            const struct window rows = rows_of_window(size, at / size->out_width);
            const struct window columns = columns_of_window(size, at % size->out_width);
            float largest = input[rows.start * size->width + columns.start];
            for (size_t y = rows.start; y < rows.end; y++) {
                for (size_t x = columns.start; x < columns.end; x++) {
                    const float number = input[y * size->width + x];
                    if (number > largest || number != number) {
                        largest = number;
                    }
                }
            }
            *output++ = largest;
        }
        input += size->height * size->width;
    }
}

//# mean_pool windows
// The mean of each window, with or without the padding, which counts as zeros.
static void mean_pool(const float *input, float *output, size_t count_padding,
                      const struct windows *size) {
    for (size_t c = 0; c < size->channels; c++) {
        for (size_t at = 0; at < size->out_height * size->out_width; at++) {
            const struct window rows = rows_of_window(size, at / size->out_width);
            const struct window columns = columns_of_window(size, at % size->out_width);
            const size_t inside = (rows.end - rows.start) * (columns.end - columns.start);
            const size_t count = count_padding ? rows.padded * columns.padded : inside;
            float sum = 0.0f;
            for (size_t y = rows.start; y < rows.end; y++) {
                for (size_t x = columns.start; x < columns.end; x++) {
                    sum += input[y * size->width + x];
                }
            }
            *output++ = sum * (1.0f / (float)count);
        }
        input += size->height * size->width;
    }
}

//# mean_pool_large windows sums
// The mean of each window of many numbers.
static void mean_pool_large(const float *input, float *output, size_t count_padding,
                            const struct windows *size) {
    for (size_t c = 0; c < size->channels; c++) {
        for (size_t at = 0; at < size->out_height * size->out_width; at++) {
            const struct window rows = rows_of_window(size, at / size->out_width);
            const struct window columns = columns_of_window(size, at % size->out_width);
            const size_t width = columns.end - columns.start;
            const size_t inside = (rows.end - rows.start) * width;
            const size_t count = count_padding ? rows.padded * columns.padded : inside;
            struct rows lines = { rows.end - rows.start, width, size->width };
            if (width == size->width) { // whole rows of the plane are one
                lines.count = 1;
                lines.len = inside;
            }
            float squares;
            const float *first = input + rows.start * size->width + columns.start;
            *output++ = (0.0f + sums(first, &lines, 0.0f, &squares)) * (1.0f / (float)count);
        }
        input += size->height * size->width;
    }
}

//# dense multiply_add sum_of_lanes
// weights * input + bias. Sixteen sums take turns, and are added at the end; where the numbers do
// not fill the last turn, zeros do.
static void dense(const float *input, size_t inputs, const float *weights, const float *bias,
                  float *output, size_t outputs) {
    for (size_t o = 0; o < outputs; o++) {
        float lanes[16];
        for (size_t lane = 0; lane < 16; lane++) {
            lanes[lane] = 0.0f;
        }
        size_t i = 0;
        for (; i + 16 <= inputs; i += 16) {
            for (size_t lane = 0; lane < 16; lane++) {
                lanes[lane] = multiply_add(input[i + lane], weights[lane], lanes[lane]);
            }
            weights += 16;
        }
        for (size_t lane = 0; i < inputs && lane < 16; lane++) {
            const int is_inside = i + lane < inputs;
            const float number = is_inside ? input[i + lane] : 0.0f;
            lanes[lane] = multiply_add(number, is_inside ? *weights++ : 0.0f, lanes[lane]);
        }
        output[o] = sum_of_lanes(lanes) + bias[o];
    }
}

//# copy
static void copy(const float *input, size_t count, float *output) {
    for (size_t i = 0; i < count; i++) {
        output[i] = input[i];
    }
}

//# add
// The sum with what went around a block.
static void add(float *numbers, size_t count, const float *around) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] += around[i];
    }
}
