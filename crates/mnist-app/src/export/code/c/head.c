//
// It is C99 without a library and without a heap. (Of loops that fill or copy, compilers may make
// calls of memset and memcpy, which each of them brings along.) A program that uses it declares
//
//     size_t network_predict(const uint8_t picture[NETWORK_PIXELS], float outputs[NETWORK_OUTPUTS]);
//     extern const char *const network_classes[NETWORK_CLASSES];
//
// or includes this file. `cc -std=c99 -O2 -DNETWORK_TEST FILE` makes a program of it that predicts
// the pictures at its end, and ends with status 0 if the outputs have the same bits. The weights are
// decimal numbers of up to nine digits, which compilers read to the same bits.
//
// The same bits need sums of products that are rounded once. fmaf() does that, but is a call of a
// library, and not right in all of them: `multiply_add` makes them of doubles, which is right
// everywhere. By that a picture takes about four times as long on a processor of x86-64, and 25 times
// on a Cortex-M4, which has no doubles: see there for the instruction of the processor.

// Of two networks in one program, one is compiled with other names, as by
// `-Dnetwork_predict=second_predict -Dnetwork_predict_with=second_predict_with
// -Dnetwork_classes=second_classes`.

#ifdef __cplusplus
#error "this file is C, not C++: compile it as C, and declare what it defines as extern \"C\""
#endif

#include <float.h>
#include <stddef.h>
#include <stdint.h>

// 16 is the method of processors that have numbers of 16 bits too.
#if (FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16) || FLT_RADIX != 2 || FLT_MANT_DIG != 24 || DBL_MANT_DIG != 53
#error "floats and doubles of IEEE 754 without excess precision are needed (x86: -msse2 -mfpmath=sse)"
#endif
#ifdef __FAST_MATH__
#error "-ffast-math changes what is computed"
#endif
// A product and a sum that stand side by side are rounded twice, as they are written. Compilers in
// their own dialects of C may make one instruction of them that rounds once.
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize ("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif

