// SPDX-License-Identifier: Apache-2.0
// Errors and exit codes. Every fault a user can cause is an Error that carries its exit code; the
// text is "place: fault; remedy" (run_tool puts the tool's name before it). A broken invariant of
// ours is a CHECK, which throws BugError and is on in release builds. lib/ never exits or prints.
#pragma once

#include <charconv>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nibble {

/// Exit codes of every tool, after sysexits.h.
enum class Exit : int {
  kDone = 0,           // all that was asked
  kNo = 1,             // the answer is no (does not fit, verification failed, ...)
  kUsage = 64,         // the command line is wrong
  kData = 65,          // an input's contents are wrong
  kNoInput = 66,       // an input does not exist or cannot be read
  kUnavailable = 69,   // no such device or feature in this build
  kBug = 70,           // our fault
  kMemory = 71,        // out of memory
  kCannotCreate = 73,  // an output cannot be created
  kIo = 74,            // reading or writing failed midway
  kStopped = 75,       // stopped by a signal, resumable
};

class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& text) : std::runtime_error(text), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

template <Exit kCode>
struct ErrorOf : Error {
  explicit ErrorOf(const std::string& text) : Error(kCode, text) {}
};
using UsageError = ErrorOf<Exit::kUsage>;
using DataError = ErrorOf<Exit::kData>;
using NoInputError = ErrorOf<Exit::kNoInput>;
using UnavailableError = ErrorOf<Exit::kUnavailable>;
using BugError = ErrorOf<Exit::kBug>;
using MemoryError = ErrorOf<Exit::kMemory>;
using CannotCreateError = ErrorOf<Exit::kCannotCreate>;
using IoError = ErrorOf<Exit::kIo>;
using StoppedError = ErrorOf<Exit::kStopped>;

namespace detail {
inline void append(std::string& out, std::string_view s) {
  out += s;
}
inline void append(std::string& out, char c) {
  out += c;
}
template <class T>
requires std::is_arithmetic_v<T>
void append(std::string& out, T value) {
  char buffer[48];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}
[[noreturn]] void check_failed(const char* file, int line, const char* what);
}  // namespace detail

/// The arguments (strings, characters, numbers) written one after another.
template <class... Args>
std::string cat(const Args&... args) {
  std::string out;
  (detail::append(out, args), ...);
  return out;
}

/// strerror, thread-safe.
std::string errno_text(int error);

}  // namespace nibble

/// An invariant of ours; throws BugError naming the place.
#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) [[unlikely]]                                    \
      ::nibble::detail::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
