
// Makes probabilities of the classes of what the network put out.
void network_probabilities(float outputs[NETWORK_OUTPUTS]);

void network_probabilities(float outputs[NETWORK_OUTPUTS]) {
    softmax(outputs, NETWORK_OUTPUTS);
}
