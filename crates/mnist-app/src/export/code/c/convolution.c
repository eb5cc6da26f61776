//# pad fill
struct pad {
    size_t channels, height, width, top, left, padded_height, padded_width;
};

// Planes with zeros around them.
static void pad(const float *input, float *output, const struct pad *size) {
    fill(output, size->channels * size->padded_height * size->padded_width, 0.0f);
    for (size_t c = 0; c < size->channels; c++) {
        for (size_t y = 0; y < size->height; y++) {
            const size_t row = c * size->padded_height + size->top + y;
            for (size_t x = 0; x < size->width; x++) {
                output[row * size->padded_width + size->left + x] = *input++;
            }
        }
    }
}

//# correlate add_products fill
struct correlation {
    size_t groups;
    size_t channels, kernels; // of a group
    size_t height, width, kernel_height, kernel_width;
    size_t stride_y, stride_x, dilation_y, dilation_x;
    size_t top, left; // rows of zeros above the input, and columns to its left
    size_t out_height, out_width;
};

// A convolution as it is written: output[d][y][x] is the sum of input[c][y + ky][x + kx] times
// weights[c][ky][kx][d] over channels, kernel rows and kernel columns, in this order. The sums of
// all kernels of a group grow side by side, in `sums`.
static void correlate(const float *input, const float *weights, float *output, float *sums,
                      const struct correlation *size) {
    const size_t kernels = size->kernels, plane = size->out_height * size->out_width;
    const size_t kernel = size->kernel_height * size->kernel_width;
    for (size_t group = 0; group < size->groups; group++) {
        for (size_t at = 0; at < plane; at++) {
            const float *factors = weights;
            fill(sums, kernels, 0.0f);
            for (size_t tap = 0; tap < size->channels * kernel; tap++) {
                const size_t ky = tap % kernel / size->kernel_width, kx = tap % size->kernel_width;
                const size_t y = at / size->out_width * size->stride_y + ky * size->dilation_y;
                const size_t x = at % size->out_width * size->stride_x + kx * size->dilation_x;
                const size_t row = (group * size->channels + tap / kernel) * size->height + y;
                float number = 0.0f;
                if (y >= size->top && y - size->top < size->height && x >= size->left &&
                    x - size->left < size->width) {
                    number = input[(row - size->top) * size->width + x - size->left];
                }
                add_products(factors, number, sums, kernels);
                factors += kernels;
            }
            for (size_t d = 0; d < kernels; d++) {
                output[d * plane + at] = sums[d];
            }
        }
        weights += size->channels * kernel * kernels;
        output += kernels * plane;
    }
}

//# winograd multiply_add
// Winograd's minimal filtering: four neighbouring outputs of a kernel of three weights take six
// products instead of twelve, between six numbers made of the inputs and six made of the weights.
#define ROOT_TWO 1.4142135f
#define ROOT_HALF 0.70710677f

static void transform_weights(float g0, float g1, float g2, float points[6]) {
    const float inner = multiply_add(g2, 0.5f, g0), outer = multiply_add(g2, 2.0f, g0);
    points[0] = g0;
    points[1] = multiply_add(g1, ROOT_HALF, inner) * (-2.0f / 3.0f);
    points[2] = multiply_add(g1, -ROOT_HALF, inner) * (-2.0f / 3.0f);
    points[3] = multiply_add(g1, ROOT_TWO, outer) * (1.0f / 6.0f);
    points[4] = multiply_add(g1, -ROOT_TWO, outer) * (1.0f / 6.0f);
    points[5] = g2;
}

static void transform_inputs(const float d[6], float points[6]) {
    const float inner_even = multiply_add(d[2], -2.0f, d[4]);
    const float inner_odd = multiply_add(d[1], -2.0f, d[3]);
    const float outer_even = multiply_add(d[2], -0.5f, d[4]);
    const float outer_odd = multiply_add(d[1], -0.5f, d[3]);
    points[0] = multiply_add(d[2], -2.5f, d[0] + d[4]);
    points[1] = multiply_add(inner_odd, ROOT_HALF, inner_even);
    points[2] = multiply_add(inner_odd, -ROOT_HALF, inner_even);
    points[3] = multiply_add(outer_odd, ROOT_TWO, outer_even);
    points[4] = multiply_add(outer_odd, -ROOT_TWO, outer_even);
    points[5] = multiply_add(d[3], -2.5f, d[1] + d[5]);
}

static void transform_outputs(const float m[6], float outputs[4]) {
    const float even = m[1] + m[2], odd = m[1] - m[2];
    const float outer_even = m[3] + m[4], outer_odd = m[3] - m[4];
    outputs[0] = m[0] + even + outer_even;
    outputs[1] = multiply_add(outer_odd, ROOT_TWO, odd * ROOT_HALF);
    outputs[2] = multiply_add(outer_even, 2.0f, even * 0.5f);
    outputs[3] = multiply_add(outer_odd, 2.0f * ROOT_TWO,
                              multiply_add(odd, ROOT_TWO / 4.0f, m[5]));
}

struct filter {
    size_t channels, kernels;
    size_t height, width; // of the padded input: whole tiles, and two rows and columns more
    size_t out_height, out_width;
    size_t is_adjoint; // kernels turned by 180 degrees, channel by channel: transposed
};

// The weights at column `kx` of kernel `d` for channel `c`, from top to bottom.
static void column_of_weights(const float *weights, size_t d, size_t c, size_t kx,
                              const struct filter *size, float points[6]) {
    if (size->is_adjoint) {
        const float *kernel = weights + (c * size->kernels + d) * 9;
        transform_weights(kernel[8 - kx], kernel[5 - kx], kernel[2 - kx], points);
    } else {
        const float *kernel = weights + (d * size->channels + c) * 9;
        transform_weights(kernel[kx], kernel[3 + kx], kernel[6 + kx], points);
    }
}

//# correlate_columns winograd add_products fill
// A convolution with 3 x 3 kernels, four output rows at a time. `work` holds six transformed rows
// of each channel, and the sums of six rows of outputs.
static void correlate_columns(const float *input, const float *weights, float *output, float *work,
                              const struct filter *size) {
    const size_t width = size->width;
    float *rows = work, *sums = work + size->channels * 6 * width;
    for (size_t top = 0; top < size->out_height; top += 4) {
        for (size_t c = 0; c < size->channels; c++) {
            for (size_t x = 0; x < width; x++) {
                float column[6], points[6];
                for (size_t i = 0; i < 6; i++) {
                    column[i] = input[(c * size->height + top + i) * width + x];
                }
                transform_inputs(column, points);
                for (size_t i = 0; i < 6; i++) {
                    rows[(c * 6 + i) * width + x] = points[i];
                }
            }
        }
        for (size_t d = 0; d < size->kernels; d++) {
            fill(sums, 6 * size->out_width, 0.0f);
            for (size_t c = 0; c < size->channels; c++) {
                for (size_t kx = 0; kx < 3; kx++) {
                    float points[6];
                    column_of_weights(weights, d, c, kx, size, points);
                    for (size_t i = 0; i < 6; i++) {
                        add_products(rows + (c * 6 + i) * width + kx, points[i],
                                     sums + i * size->out_width, size->out_width);
                    }
                }
            }
            for (size_t x = 0; x < size->out_width; x++) {
                float column[6], outputs[4];
                for (size_t i = 0; i < 6; i++) {
                    column[i] = sums[i * size->out_width + x];
                }
                transform_outputs(column, outputs);
                for (size_t i = 0; i < 4 && top + i < size->out_height; i++) {
                    output[(d * size->out_height + top + i) * size->out_width + x] = outputs[i];
                }
            }
        }
    }
}

//# correlate_tiles winograd add_products fill
// Transforms the 6 x 6 numbers of a tile, whose rows are `width` apart.
static void transform_tile(const float *input, size_t width, float points[36]) {
    float columns[6][6];
    for (size_t x = 0; x < 6; x++) {
        float column[6];
        for (size_t y = 0; y < 6; y++) {
            column[y] = input[y * width + x];
        }
        transform_inputs(column, columns[x]);
    }
    for (size_t i = 0; i < 6; i++) {
        float row[6];
        for (size_t x = 0; x < 6; x++) {
            row[x] = columns[x][i];
        }
        transform_inputs(row, points + i * 6);
    }
}

// Transforms the sums of a tile to 4 x 4 outputs.
static void transform_sums(const float sums[36], float outputs[4][4]) {
    float rows[6][4];
    for (size_t i = 0; i < 6; i++) {
        transform_outputs(sums + i * 6, rows[i]);
    }
    for (size_t x = 0; x < 4; x++) {
        float column[6], of_column[4];
        for (size_t i = 0; i < 6; i++) {
            column[i] = rows[i][x];
        }
        transform_outputs(column, of_column);
        for (size_t y = 0; y < 4; y++) {
            outputs[y][x] = of_column[y];
        }
    }
}

// A convolution with 3 x 3 kernels, in tiles of 4 x 4 outputs, some rows of tiles at a time. Tiles
// and kernels are transformed to 36 numbers each; their products are summed over the channels.
// `work` holds a channel's kernels, its tiles, and the sums of all kernels for each tile.
static void correlate_tiles(const float *input, const float *weights, float *output, float *work,
                            size_t tile_rows, const struct filter *size) {
    const size_t across = (size->out_width + 3) / 4, down = (size->out_height + 3) / 4;
    const size_t kernels = size->kernels;
    for (size_t first = 0; first < down; first += tile_rows) {
        const size_t rest = down - first, rows = rest < tile_rows ? rest : tile_rows;
        const size_t tiles = rows * across;
        float *factors = work, *points = factors + 36 * kernels, *sums = points + 36 * tiles;
        fill(sums, 36 * tiles * kernels, 0.0f);
        for (size_t c = 0; c < size->channels; c++) {
            for (size_t tile = 0; tile < tiles; tile++) {
                const size_t top = (first + tile / across) * 4, left = tile % across * 4;
                float of_tile[36];
                transform_tile(input + (c * size->height + top) * size->width + left, size->width,
                               of_tile);
                for (size_t point = 0; point < 36; point++) {
                    points[point * tiles + tile] = of_tile[point];
                }
            }
            for (size_t d = 0; d < kernels; d++) {
                float columns[3][6];
                for (size_t kx = 0; kx < 3; kx++) {
                    column_of_weights(weights, d, c, kx, size, columns[kx]);
                }
                for (size_t i = 0; i < 6; i++) {
                    float row[6];
                    transform_weights(columns[0][i], columns[1][i], columns[2][i], row);
                    for (size_t j = 0; j < 6; j++) {
                        factors[(i * 6 + j) * kernels + d] = row[j];
                    }
                }
            }
            for (size_t at = 0; at < 36 * tiles; at++) {
                add_products(factors + at / tiles * kernels, points[at], sums + at * kernels,
                             kernels);
            }
        }
        for (size_t d = 0; d < kernels; d++) {
            for (size_t tile = 0; tile < tiles; tile++) {
                const size_t top = (first + tile / across) * 4, left = tile % across * 4;
                float of_tile[36], outputs[4][4];
                for (size_t point = 0; point < 36; point++) {
                    of_tile[point] = sums[(point * tiles + tile) * kernels + d];
                }
                transform_sums(of_tile, outputs);
                for (size_t y = 0; y < 4 && top + y < size->out_height; y++) {
                    for (size_t x = 0; x < 4 && left + x < size->out_width; x++) {
                        const size_t row = d * size->out_height + top + y;
                        output[row * size->out_width + left + x] = outputs[y][x];
                    }
                }
            }
        }
    }
}

//# correlate_adjoint multiply_add
struct adjoint {
    size_t groups;
    size_t channels, out_channels; // of a group
    size_t height, width, kernel_height, kernel_width;
    size_t stride_y, stride_x, dilation_y, dilation_x;
    size_t top, left; // rows and columns of the output that are left out
    size_t out_height, out_width;
};

// A transposed convolution: each number of the input adds a kernel to the output. For each column
// of the kernel the products are summed over its rows from the last to the first, and over the
// channels; then the columns' sums are added.
static void correlate_adjoint(const float *input, const float *weights, float *output,
                              const struct adjoint *size) {
    const size_t kernel = size->kernel_height * size->kernel_width;
    for (size_t channel = 0; channel < size->groups * size->out_channels; channel++) {
        const size_t first = channel / size->out_channels * size->channels;
        const size_t d = channel % size->out_channels;
        for (size_t at = 0; at < size->out_height * size->out_width; at++) {
            const size_t y = at / size->out_width + size->top;
            const size_t x = at % size->out_width + size->left;
            float total = 0.0f;
            for (size_t kx = 0; kx < size->kernel_width; kx++) {
                const size_t from_x = x - kx * size->dilation_x, column = from_x / size->stride_x;
                if (kx * size->dilation_x > x || from_x % size->stride_x != 0 ||
                    column >= size->width) {
                    continue;
                }
                float sum = 0.0f;
                for (size_t ky = size->kernel_height; ky-- > 0;) {
                    const size_t from_y = y - ky * size->dilation_y, row = from_y / size->stride_y;
                    if (ky * size->dilation_y > y || from_y % size->stride_y != 0 ||
                        row >= size->height) {
                        continue;
                    }
                    for (size_t c = first; c < first + size->channels; c++) {
                        const float number = input[(c * size->height + row) * size->width + column];
                        const float *weight = weights + (c * size->out_channels + d) * kernel;
                        sum = multiply_add(number, weight[ky * size->kernel_width + kx], sum);
                    }
                }
                total += sum;
            }
            *output++ = total;
        }
    }
}

//# add_bias
// Adds a number to each plane.
static void add_bias(float *numbers, size_t count, size_t plane, const float *bias) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] += bias[i / plane];
    }
}
