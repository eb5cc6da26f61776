// Starts a program on a Cortex-M4 without an operating system, and ends the emulator with the
// program's status.

#include <stdint.h>

extern uint32_t data_from, data_start, data_end, bss_start, bss_end, stack_top;
int main(void);

// Asks the debugger, or the emulator in its place, to do something.
static void semihosting(int operation, const void *block) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void end(uint32_t status) {
    const uint32_t block[2] = { 0x20026, status }; // the application has ended
    semihosting(0x20, block);
    for (;;) {
    }
}

void reset(void) {
    // The unit for floating point is off after a reset.
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20;
    __asm__ volatile("dsb\nisb");
    for (uint32_t *from = &data_from, *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    end((uint32_t)main());
}

void fault(void) {
    end(99);
}

// The initial stack pointer, the first instruction, and what handles exceptions.
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
