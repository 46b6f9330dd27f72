// eventfd(2), which Swift's Glibc module leaves out. It can go when that module has it.
#pragma once
#include <sys/eventfd.h>
