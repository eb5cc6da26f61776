// The class of a picture, whose bytes are channel by channel, row by row, and what the network puts
// out for it. The class is the place of the largest number in the outputs, the first of equal ones;
// NETWORK_OUTPUTS if a number is NaN or the largest is infinite.
size_t network_predict_with(struct network_buffers *buffers, const uint8_t picture[NETWORK_PIXELS],
                            float outputs[NETWORK_OUTPUTS]);

// The same with buffers of its own, so not in several threads at the same time.
size_t network_predict(const uint8_t picture[NETWORK_PIXELS], float outputs[NETWORK_OUTPUTS]);

// The names of the classes, in UTF-8.
extern const char *const network_classes[NETWORK_CLASSES];

// Define it to see what each layer puts out: its place in the network, the numbers, how many.
#ifndef NETWORK_OBSERVE
#define NETWORK_OBSERVE(layer, numbers, count) ((void)0)
#endif

