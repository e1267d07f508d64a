// SPDX-License-Identifier: Apache-2.0
// The frame of every tool. One option table feeds parsing, --help, the man page, shell completion
// and the echo of settings; run_tool parses, runs, maps exceptions to exit codes, and flushes and
// checks standard output. A tool is:
//
//   struct Options { int64_t length = 2048; std::string out; std::vector<std::string> files; };
//   void declare(OptionTable& table, Options& o) {
//     table.positional("FILE", o.files, "token rows; standard input when none is given");
//     table.group("Packing");
//     table.add("length", "N", o.length, "tokens of a row").range(1, 1 << 24);
//     table.out(o.out, "the packed shard");
//   }
//   void run(const Options& o, ToolContext& context) { ... }
//   int main(int argc, char** argv) {
//     return run_tool<Options>(argc, argv, {.name = "nibble-pack", ...}, declare, run);
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/memory.h"

namespace nibble {

/// A size in bytes: "24GiB", "16GB", "512MiB", "1000" (bytes).
struct Size {
  uint64_t bytes = 0;
};
/// A count: "4096", "10k", "2M".
struct Count {
  int64_t value = 0;
};
Size parse_size(std::string_view text);    // throws UsageError
Count parse_count(std::string_view text);  // throws UsageError
/// "1.5 GiB", "312 MiB", for people.
std::string format_size(uint64_t bytes);
/// "5GB", "1536MiB": the shortest that parse_size makes the same number of.
std::string exact_size(uint64_t bytes);

class OptionTable {
 public:
  struct Entry;
  /// Refines the option just added.
  class Ref {
   public:
    explicit Ref(Entry& entry) : entry_(&entry) {}
    Ref& range(double low, double high);                // numbers: closed interval
    Ref& choices(std::vector<std::string> allowed);     // text: one of these
    Ref& also(std::vector<std::string> foreign_names);  // what others call it: refused, ours told
    Ref& short_name(char letter);
    Ref& required();
    Ref& optional_value(std::string when_bare);  // --resume as well as --resume=X
    Ref& default_is(std::string text);           // what help says where the target's value does not
    Ref& hidden();

   private:
    Entry* entry_;
  };

  OptionTable();
  ~OptionTable();

  /// Starts a titled group in help and man page.
  void group(std::string title);

  /// An option --name=VALUE; the default shown is the target's value now. Targets: std::string,
  /// int64_t, int, uint64_t, double, Size, Count, std::vector<std::string> (comma lists and
  /// repeats), and std::optional of those.
  template <class T>
  Ref add(std::string name, std::string value_name, T& target, std::string help) {
    return Ref(add_entry(std::move(name), std::move(value_name), bind(target), std::move(help)));
  }
  /// A list of which each value is one item, commas and all; the option may be repeated.
  Ref add_texts(std::string name, std::string value_name, std::vector<std::string>& target,
                std::string help) {
    return Ref(
        add_entry(std::move(name), std::move(value_name), bind_texts(target), std::move(help)));
  }
  /// A switch --name; with `negatable`, --no-name too.
  Ref flag(std::string name, bool& target, std::string help);
  Ref negatable(std::string name, bool& target, std::string help);
  /// Positional arguments, the last kind declared may repeat.
  Ref positional(std::string value_name, std::string& target, std::string help);
  Ref positional(std::string value_name, std::vector<std::string>& target, std::string help);
  /// The option every tool with output has: -o, --out=PATH.
  Ref out(std::string& target, std::string help);

  /// Whether the user set the option (command line or config).
  bool given(std::string_view name) const;
  /// All options and their values now, in order, for the settings echo and run records.
  std::vector<std::pair<std::string, std::string>> settings() const;

  struct Target {
    std::function<void(const std::string&)> set;  // throws UsageError without the option's name
    std::function<std::string()> get;             // as --help and the echo show it
    bool list = false, flag = false;
  };
  struct Impl;
  Impl& impl() { return *impl_; }
  const Impl& impl() const { return *impl_; }

 private:
  Entry& add_entry(std::string name, std::string value_name, Target target, std::string help);
  static Target bind(std::string& target);
  static Target bind_texts(std::vector<std::string>& target);
  static Target bind(int64_t& target);
  static Target bind(int& target);
  static Target bind(uint64_t& target);
  static Target bind(double& target);
  static Target bind(Size& target);
  static Target bind(Count& target);
  static Target bind(std::vector<std::string>& target);
  template <class T>
  static Target bind(std::optional<T>& target) {
    auto value = std::make_shared<T>();
    Target inner = bind(*value);
    return {.set =
                [&target, value, set = inner.set](const std::string& text) {
                  *value = T{};
                  set(text);
                  target = *value;
                },
            .get =
                [&target, value, get = inner.get] {
                  if (!target) return std::string();
                  *value = *target;
                  return get();
                },
            .list = inner.list};
  }
  std::unique_ptr<Impl> impl_;
};

/// What help and the man page say besides the options.
struct ToolInfo {
  std::string name;      // "nibble-pack"
  std::string summary;   // one line, no full stop
  std::string synopsis;  // "--model=DIR [FILE...] -o OUT.nbp"
  std::string description;
  std::vector<std::pair<std::string, std::string>> examples;  // command, what it does
  std::vector<std::pair<int, std::string>> exit_codes;        // besides the common ones
  bool computes = false;  // has --threads, --seed, --device and --profile
  bool converts = false;  // has --profile alone of these
  bool on_gpu = false;    // --device=cuda[:N] too
  bool reports = false;   // has --json
};

/// What every tool is given.
struct ToolContext {
  std::string name;
  std::string command_line;  // as typed, quoted
  const OptionTable* table = nullptr;
  bool quiet = false, verbose = false, json = false;
  uint64_t seed = 0;
  std::string device = "cpu";

  /// A line on standard error, "nibble-x: text", unless --quiet. warn() is never suppressed.
  void say(std::string_view text) const;
  void warn(std::string_view text) const;
  void detail(std::string_view text) const;  // only with --verbose

  enum class ProgressMode { kAuto, kAlways, kNever } progress = ProgressMode::kAuto;
};

/// Progress on standard error: one rewritten line on a terminal (at most 4 a second), else a line
/// every few seconds. finish() leaves the last state; the destructor clears an unfinished line.
class Progress {
 public:
  explicit Progress(const ToolContext& context);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Whether a line is due; call before formatting one.
  bool due() const;
  void show(const std::string& text);
  void finish(const std::string& text);
  /// "40 %, 34 s left": where so much is done since this was made.
  std::string share(int64_t done, int64_t all) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The suite's version, "0.1.0".
std::string version();

/// "12.3 s wall, 20.1 s CPU, peak memory 1.2 GiB": this process so far.
std::string resources_used();
/// The same, with ", 41 MiB of cuda's" where a device computed and took so much of its memory.
std::string resources_used(const ToolContext& context, uint64_t device_bytes);

/// Data to standard output, checked: throws IoError on a full disk, ClosedPipe (io/lines.h) when
/// the reader has gone.
void write_stdout(std::string_view text);
/// Throws UsageError where the output is one of the inputs, by whatever name, and of another kind.
void refuse_to_replace(const std::string& out, std::span<const std::string> inputs);
/// Throws UsageError where standard output is a terminal: for binary output.
void refuse_terminal(std::string_view what);

namespace detail {
int run_tool_impl(int argc, char** argv, const ToolInfo& info,
                  const std::function<void(OptionTable&)>& declare,
                  const std::function<int(ToolContext&)>& run);
}

/// Parses, runs and returns the exit code. `run` returns void (exit 0) or Exit.
template <class Options, class Run>
int run_tool(int argc, char** argv, const ToolInfo& info, void (*declare)(OptionTable&, Options&),
             Run run) {
  Options options;
  return detail::run_tool_impl(
      argc, argv, info, [&](OptionTable& table) { declare(table, options); },
      [&](ToolContext& context) {
        if constexpr (std::is_void_v<decltype(run(options, context))>) {
          run(options, context);
          return static_cast<int>(Exit::kDone);
        } else {
          return static_cast<int>(run(options, context));
        }
      });
}

}  // namespace nibble
