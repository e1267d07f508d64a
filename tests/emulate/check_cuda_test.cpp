// SPDX-License-Identifier: Apache-2.0
// CUDA's status codes become exit codes, and a kernel's fault tells how to find the kernel.
#include "kernels/cuda/check.h"

#include <gtest/gtest.h>

namespace nibble::cuda {
namespace {

struct Case {
  cudaError_t status;
  Exit code;
  std::string_view remedy;
};

constexpr Case kCases[] = {
    {cudaErrorMemoryAllocation, Exit::kMemory, "--memory-limit"},
    {cudaErrorNoDevice, Exit::kUnavailable, "--device=cpu"},
    {cudaErrorInvalidDevice, Exit::kUnavailable, "nvidia-smi"},
    {cudaErrorInvalidDeviceFunction, Exit::kUnavailable, "CMAKE_CUDA_ARCHITECTURES"},
    {cudaErrorNoKernelImageForDevice, Exit::kUnavailable, "CMAKE_CUDA_ARCHITECTURES"},
    {cudaErrorLaunchFailure, Exit::kBug, kHowToName},
    {cudaErrorIllegalAddress, Exit::kBug, kHowToName},
    {cudaErrorMisalignedAddress, Exit::kBug, kHowToName},
    {cudaErrorIllegalInstruction, Exit::kBug, kHowToName},
    {cudaErrorInvalidPc, Exit::kBug, kHowToName},
    {cudaErrorInvalidAddressSpace, Exit::kBug, kHowToName},
    {cudaErrorHardwareStackError, Exit::kBug, kHowToName},
    {cudaErrorLaunchTimeout, Exit::kBug, kHowToName},
    {cudaErrorAssert, Exit::kBug, kHowToName},
    {cudaErrorECCUncorrectable, Exit::kIo, "nvidia-smi -q"},
    {cudaErrorNvlinkUncorrectable, Exit::kIo, "nvidia-smi -q"},
    {cudaErrorContained, Exit::kIo, "nvidia-smi -q"},
    {cudaErrorInvalidValue, Exit::kBug, "op: "},
};

TEST(CheckStatus, TellsWhoseFaultItIs) {
  EXPECT_NO_THROW(check(cudaSuccess, "op"));
  for (const Case& c : kCases) {
    try {
      check(c.status, "op");
      ADD_FAILURE() << c.status << " passed";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), c.code) << c.status << ": " << error.what();
      EXPECT_NE(std::string_view(error.what()).find(c.remedy), std::string_view::npos)
          << c.status << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace nibble::cuda
