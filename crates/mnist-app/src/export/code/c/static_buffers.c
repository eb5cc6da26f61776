
size_t network_predict(const uint8_t picture[NETWORK_PIXELS], float outputs[NETWORK_OUTPUTS]) {
    static struct network_buffers buffers;
    return network_predict_with(&buffers, picture, outputs);
}
