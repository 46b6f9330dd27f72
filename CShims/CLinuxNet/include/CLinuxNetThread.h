#pragma once

#include <stdbool.h>

// Sets the calling thread's nice value and, in nanoseconds, how long it may run before others have their turn (Linux 6.12;
// older kernels pass over that). A thread that asks for short slices is woken sooner. Returns 0 or an errno. There is no
// wrapper in the C library that Swift could call.
int clinuxnet_set_slice(int nice, unsigned long long slice);

// Has the calling thread run on that processor alone. Returns 0 or an errno. The C library's sets are macros.
int clinuxnet_pin(unsigned int processor);

// Whether the calling thread may run on that processor.
bool clinuxnet_may_run_on(unsigned int processor);


