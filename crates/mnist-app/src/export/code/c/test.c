int main(void) {
    for (size_t picture = 0; picture < PICTURES; picture++) {
        float outputs[NETWORK_OUTPUTS];
        network_predict(pictures[picture], outputs);
        for (size_t i = 0; i < NETWORK_OUTPUTS; i++) {
            const union { float number; uint32_t bits; } output = { outputs[i] };
            const int is_nan = (expected[picture][i] & 0x7fffffff) > 0x7f800000;
            if (is_nan ? output.number == output.number : output.bits != expected[picture][i]) {
                return 1;
            }
        }
    }
    return 0;
}
