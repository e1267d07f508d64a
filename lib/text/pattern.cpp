// SPDX-License-Identifier: Apache-2.0
#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace nibble {
namespace {

struct FreeMatchData {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
};

// What a thread needs to match any pattern. Captures are translated away, so one pair suffices.
struct Matcher {
  std::unique_ptr<pcre2_match_data, FreeMatchData> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack{
      pcre2_jit_stack_create(size_t{32} << 10, size_t{16} << 20, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context{
      pcre2_match_context_create(nullptr)};
  Matcher() {
    if (!data || !stack || !context) throw MemoryError("out of memory for regular expressions");
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

std::string pcre2_text(int error) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(error, text, sizeof text) < 0) return cat("error ", error);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Pattern::Compiled {
  pcre2_code* code = nullptr;
  bool jit = false;
  std::string source;
  ~Compiled() { pcre2_code_free(code); }
};

Pattern::Pattern(std::string_view oniguruma) : Pattern(oniguruma, translate_pattern(oniguruma)) {}

Pattern Pattern::perl(std::string_view source) {
  return Pattern(source, std::string(source));
}

Pattern::Pattern(std::string_view source, const std::string& translated)
    : compiled_(std::make_unique<Compiled>()) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  struct FreeCompileContext {
    void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  };
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  if (!context) throw MemoryError("out of memory for a regular expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);  // what a dot does not match
  compiled_->source = source;
  compiled_->code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context.get());
  if (compiled_->code == nullptr)
    throw DataError(cat("the regular expression ", source, " is wrong: ", pcre2_text(error)));
  // Without a JIT (some hardened kernels) the interpreter does the same, slower.
  compiled_->jit = pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE) == 0;
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

std::optional<Match> Pattern::find(std::string_view text, size_t from) const {
  thread_local Matcher matcher;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int found = compiled_->jit ? pcre2_jit_match(compiled_->code, subject, text.size(), from, 0,
                                               matcher.data.get(), matcher.context.get())
                             : PCRE2_ERROR_JIT_STACKLIMIT;
  if (found == PCRE2_ERROR_JIT_STACKLIMIT)
    found =
        pcre2_match(compiled_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                    matcher.data.get(), matcher.context.get());
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0)
    throw DataError(cat("the regular expression ", compiled_->source,
                        " gave up on a text: ", pcre2_text(found)));
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(matcher.data.get());
  return Match{ends[0], ends[1]};
}

}  // namespace nibble
