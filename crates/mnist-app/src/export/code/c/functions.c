//# relu
// max(x, 0).
static void relu(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = numbers[i] <= 0.0f ? 0.0f : numbers[i];
    }
}

//# leaky_relu
// x where it is positive, else slope x.
static void leaky_relu(float *numbers, size_t count, float slope) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = numbers[i] > 0.0f ? numbers[i] : numbers[i] * slope;
    }
}

//# hard_swish
// x (x + 3) / 6 between -3 and 3, 0 below and x above.
static void hard_swish(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float x = numbers[i];
        numbers[i] = x <= -3.0f ? 0.0f : x >= 3.0f ? x : x * (x + 3.0f) / 6.0f;
    }
}

//# tanh_of exponential
// tanh x: a series near 0, elsewhere 1 - 2 / (exp 2|x| + 1).
static float tanh_of(float x) {
    static const float series[5] = { -0.3333333f, 0.13333073f, -0.053901754f, 0.021263354f,
                                     -0.0065255724f };
    const float u = absolute(x), magnitude = u > 10.0f ? 10.0f : u;
    const float far = 1.0f - 2.0f / (exponential(magnitude + magnitude) + 1.0f);
    const float square = magnitude * magnitude;
    const float near = multiply_add(square * magnitude, polynomial(square, series, 5), magnitude);
    // The magnitude of the one or the other with the sign of x.
    union { float number; uint32_t bits; } sign = { x }, y;
    y.number = magnitude < 0.5625f ? near : far;
    y.bits = (y.bits & 0x7fffffff) | (sign.bits & 0x80000000);
    return y.number;
}

//# hyperbolic_tangent tanh_of
// tanh x.
static void hyperbolic_tangent(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = tanh_of(numbers[i]);
    }
}

//# elu tanh_of
// x where it is positive, else alpha (exp x - 1), which is 2t / (1 - t) with t = tanh(x / 2).
static void elu(float *numbers, size_t count, float alpha) {
    for (size_t i = 0; i < count; i++) {
        const float t = tanh_of(numbers[i] * 0.5f);
        const float below = (t + t) / (1.0f - t) * alpha;
        numbers[i] = numbers[i] > 0.0f ? numbers[i] : below;
    }
}

//# sigmoid_of exponential
// 1 / (1 + exp -x), by z = exp -|x|; the rounding errors of sum and quotient are added again.
static float sigmoid_of(float x) {
    const float z = exponential(-absolute(x)), numerator = x < 0.0f ? z : 1.0f;
    const float sum = 1.0f + z, quotient = numerator / sum;
    const float lost = multiply_add(-quotient, sum, numerator) - quotient * (z - (sum - 1.0f));
    const float inverse = x < 0.0f ? 1.0f - quotient : quotient;
    return multiply_add(lost, inverse, quotient);
}

//# sigmoid sigmoid_of
// 1 / (1 + exp -x).
static void sigmoid(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] = sigmoid_of(numbers[i]);
    }
}

//# silu sigmoid_of
// x / (1 + exp -x).
static void silu(float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        numbers[i] *= sigmoid_of(numbers[i]);
    }
}

//# softplus exponential
// ln(1 + exp x) = max(x, 0) + ln(1 + z) with z = exp -|x|. With s = z / (2 + z) the logarithm is
// 2s + 2/3 s^3 + 2/5 s^5 + ..., and 2s is z - s z.
static void softplus(float *numbers, size_t count) {
    static const float series[8] = { 0.6666667f,  0.4f,        0.2857143f,  0.22222222f,
                                     0.18181819f, 0.15384616f, 0.13333334f, 0.11764706f };
    for (size_t i = 0; i < count; i++) {
        const float above = numbers[i] > 0.0f ? numbers[i] : 0.0f;
        const float z = exponential(-absolute(numbers[i]));
        const float s = z / (2.0f + z), square = s * s;
        const float inner = multiply_add(-square, polynomial(square, series, 8), z);
        numbers[i] = above + multiply_add(-s, inner, z);
    }
}

//# gelu exponential
// x P(x), with the probability P(x) that a standard normal variable is less than x. Its tail is
// exp(-u^2 / 2) Q((u - 5) / (u + 5)) / (u + 5) for u = |x|, with a polynomial Q.
static void gelu(float *numbers, size_t count) {
    static const float series[13] = {
        0.76919305f,     -0.6653825f,    0.49530563f,   -0.3135329f,   0.16502021f,
        -0.069120854f,   0.020796308f,   -0.0029856705f, -0.0008022395f, 0.00053173886f,
        -5.173382e-5f,   -3.867769e-5f,  9.920845e-6f,
    };
    for (size_t i = 0; i < count; i++) {
        const float x = numbers[i], u = absolute(x) > 40.0f ? 40.0f : absolute(x);
        const float density = exponential(u * u * -0.5f);
        const float inverse = 1.0f / (u + 5.0f);
        const float tail = density * polynomial((u - 5.0f) * inverse, series, 13) * inverse;
        numbers[i] = x * (x > 0.0f ? 1.0f - tail : tail);
    }
}

//# softmax exponential fill
// exp x_i / sum_j exp x_j, with the largest number subtracted first; NaN if it is not known which
// is the largest.
static void softmax(float *numbers, size_t count) {
    const union { uint32_t bits; float number; } infinity = { 0x7f800000 };
    float largest = numbers[0], sum = 0.0f;
    size_t many = 0;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] > largest || numbers[i] != numbers[i]) {
            largest = numbers[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        many += numbers[i] == largest;
    }
    if (many == 0 || (many > 1 && absolute(largest) == infinity.number)) {
        fill(numbers, count, infinity.number - infinity.number);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        numbers[i] = exponential(numbers[i] == largest ? 0.0f : numbers[i] - largest);
        sum += numbers[i];
    }
    for (size_t i = 0; i < count; i++) {
        numbers[i] /= sum;
    }
}
