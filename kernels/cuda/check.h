// SPDX-License-Identifier: Apache-2.0
// CUDA's status codes as nibble's errors: no usable device 69, device memory full 71, memory or
// links that fail 74, anything else is our bug, 70. The text names the op.
#pragma once

#include <cuda_runtime.h>

#include <string_view>

#include "base/error.h"

namespace nibble::cuda {

/// What failed on the device is told by whatever call comes after it.
inline constexpr std::string_view kHowToName =
    "CUDA_LAUNCH_BLOCKING=1 (and --no-graphs, if the tool has it) names it";

[[noreturn]] inline void throw_status(cudaError_t status, std::string_view op) {
  const std::string text =
      cat(op, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")");
  switch (status) {
    case cudaErrorMemoryAllocation:
      throw MemoryError(cat(text, "; lower --memory-limit or free the device"));
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorDeviceNotLicensed:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInsufficientDriver:
    case cudaErrorInitializationError:
      throw UnavailableError(cat(text, "; try --device=cpu, or look at nvidia-smi"));
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorNoKernelImageForDevice:
      throw UnavailableError(cat(text,
                                 "; this build has no code for the device: build with its "
                                 "CMAKE_CUDA_ARCHITECTURES, or try --device=cpu"));
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
      throw IoError(cat(text,
                        "; the device's memory or links are at fault: nvidia-smi -q tells "
                        "more, --device=cuda:N takes another"));
    case cudaErrorLaunchFailure:
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidPc:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
      throw BugError(cat(text, " of it, or of work queued before it; ", kHowToName));
    default:
      throw BugError(text);
  }
}

/// Throws what throw_status makes of any status but cudaSuccess.
inline void check(cudaError_t status, std::string_view op) {
  if (status != cudaSuccess) [[unlikely]]
    throw_status(status, op);
}

}  // namespace nibble::cuda
