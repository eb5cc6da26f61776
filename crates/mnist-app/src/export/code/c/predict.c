
// The place of the largest number.
static size_t network_class(const float outputs[NETWORK_OUTPUTS]) {
    size_t best = 0;
    for (size_t i = 0; i < NETWORK_OUTPUTS; i++) {
        if (outputs[i] != outputs[i]) {
            return NETWORK_OUTPUTS;
        }
        if (outputs[i] > outputs[best]) {
            best = i;
        }
    }
    return outputs[best] >= -FLT_MAX && outputs[best] <= FLT_MAX ? best : NETWORK_OUTPUTS;
}

size_t network_predict_with(struct network_buffers *buffers, const uint8_t picture[NETWORK_PIXELS],
                            float outputs[NETWORK_OUTPUTS]) {
