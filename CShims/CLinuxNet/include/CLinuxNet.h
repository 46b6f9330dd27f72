// What Swift can't call of Linux's network interfaces: ioctls by request number, variadic functions and macros.
// One header a subject; each function says why it is here and when it can go.
#pragma once
#include "CLinuxNetCapabilities.h"
#include "CLinuxNetEvent.h"
#include "CLinuxNetFrames.h"
#include "CLinuxNetPacket.h"
#include "CLinuxNetRights.h"
#include "CLinuxNetRoute.h"
#include "CLinuxNetSteering.h"
#include "CLinuxNetThread.h"
#include "CLinuxNetTun.h"
