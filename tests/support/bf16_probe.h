// SPDX-License-Identifier: Apache-2.0
// Whether this processor runs AVX-512-BF16's instruction, whatever it says: a virtual machine may
// hide it. It is tried where the signal of an illegal instruction is caught; programs never try.
#pragma once

#include <hwy/targets.h>
#include <setjmp.h>
#include <signal.h>

namespace nibble {

inline sigjmp_buf bf16_probe_failed;

inline bool executes_bf16_dot() {
  static const bool executes = [] {
    if (!(hwy::SupportedTargets() & HWY_AVX3)) return false;
    struct sigaction action = {}, before = {};
    action.sa_handler = [](int) { siglongjmp(bf16_probe_failed, 1); };
    sigaction(SIGILL, &action, &before);
    bool done = false;
    if (sigsetjmp(bf16_probe_failed, 1) == 0) {
      asm volatile("vdpbf16ps %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
      done = true;
    }
    sigaction(SIGILL, &before, nullptr);
    return done;
  }();
  return executes;
}

}  // namespace nibble
