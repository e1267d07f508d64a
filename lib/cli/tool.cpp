// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

#include "base/notice.h"
#include "base/thread_team.h"
#include "base/threads.h"
#include "cli/clean_up.h"
#include "cli/message.h"
#include "cli/profile.h"
#include "cli/table.h"
#include "io/lines.h"
#include "tensor/device.h"

namespace nibble {
namespace {

using Clock = std::chrono::steady_clock;

const Clock::time_point process_start = Clock::now();

void print_error(std::string_view text) {
  std::string line(text);
  line += '\n';
  // Standard error may be closed; there is nobody left to tell.
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Closed standard streams would be given to the first files opened, and messages to a file.
void occupy_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
      // What is read or written there fails, but for messages.
      const int flags = fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY;
      if (::open("/dev/null", flags) < 0) return;
    }
}

struct Common {
  bool quiet = false, verbose = false, json = false, help = false, version = false;
  std::string progress = "auto", device = "cpu", config, profile;
  int threads = 0;
  uint64_t seed = 0;
  bool man = false, completion = false;
};

void declare_common(OptionTable& table, const ToolInfo& info, Common& c) {
  table.group("Common options");
  if (info.computes) {
    table.add("device", "NAME", c.device,
              info.on_gpu ? "what computes: cpu or cuda[:N]" : "what computes: cpu alone");
    table.add("threads", "N", c.threads, "threads; 0: all that may be used").range(0, 4096);
    table.add("seed", "N", c.seed, "seed of everything random");
  }
  if (info.computes || info.converts)
    table.add("profile", "FILE", c.profile,
              "time ops and phases: a trace for Perfetto here, a table on standard error");
  if (info.reports) table.flag("json", c.json, "report as JSON");
  table.add("config", "FILE", c.config, "a TOML file of options by their long names");
  table.add("progress", "WHEN", c.progress, "progress on standard error")
      .choices({"auto", "always", "never"});
  table.flag("quiet", c.quiet, "only errors on standard error").short_name('q');
  table.flag("verbose", c.verbose, "say more").short_name('v');
  table.flag("help", c.help, "this text").short_name('h');
  table.flag("version", c.version, "print the version");
  table.flag("print-man", c.man, "print the man page").hidden();
  table.flag("print-completion", c.completion, "print bash completion").hidden();
}

// A thread that waits for the others spins before it sleeps. The OpenMP runtime's own default, some
// 20 ms, is ruinous where other programs want the cores: 8 times slower here. It reads its setting
// before main, so a tool that computes starts itself once more with a short one, before it reads
// anything: the options may come from a pipe, and how many threads they ask for is not known yet.
void shorten_spinning(char** argv) {
  // Whoever binds threads has the cores to himself, and what is bound already would stay so.
  for (const char* set : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_PROC_BIND"})
    if (std::getenv(set)) return;
  if (::setenv("GOMP_SPINCOUNT", "1000", 1) == 0) ::execv("/proc/self/exe", argv);
}

int run_checked(int argc, char** argv, const ToolInfo& info,
                const std::function<void(OptionTable&)>& declare,
                const std::function<int(ToolContext&)>& run) {
  OptionTable table;
  Common common;
  declare(table);
  declare_common(table, info, common);
  // Help and version answer even where the rest of the line is incomplete.
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string_view word = argv[i];
    const std::string text = word == "-h" || word == "--help" ? help_text(table, info)
                             : word == "--version"            ? version_text(info)
                             : word == "--print-man"          ? man_page(table, info)
                             : word == "--print-completion"   ? bash_completion(table, info)
                                                              : std::string();
    if (text.empty()) continue;
    write_stdout(text);
    return 0;
  }
  if (info.computes) shorten_spinning(argv);
  parse_command_line(table, info, argc, argv);
  if (info.computes) {
    // cuda never quietly means the CPU.
    if (!info.on_gpu && common.device.starts_with("cuda"))
      throw UnavailableError(cat("--device=", common.device, ": ", info.name,
                                 " computes on the CPU alone; leave it out"));
    parse_device(common.device);
  }
  clean_up_on_signals();
  set_threads(common.threads);
  try {
    start_team();
  } catch (const MemoryError&) {
    if (info.computes) throw;
    set_threads(1);  // little is to be done here, and nobody asked for more
  }
  ToolContext context;
  context.name = info.name;
  context.command_line = info.name;
  for (int i = 1; i < argc; ++i) context.command_line += " " + quoted(argv[i]);
  context.table = &table;
  context.quiet = common.quiet;
  context.verbose = common.verbose;
  context.json = common.json;
  context.seed = common.seed;
  context.device = common.device;
  context.progress = common.progress == "always"  ? ToolContext::ProgressMode::kAlways
                     : common.progress == "never" ? ToolContext::ProgressMode::kNever
                                                  : ToolContext::ProgressMode::kAuto;
  struct Listening {
    explicit Listening(const ToolContext& c) {
      on_notice([&c](std::string_view text) { c.say(text); });
    }
    ~Listening() { on_notice(nullptr); }
  } const listening(context);
  if (common.profile.empty()) return run(context);
  return run_profiled(common.profile, context, run);
}

}  // namespace

int detail::run_tool_impl(int argc, char** argv, const ToolInfo& info,
                          const std::function<void(OptionTable&)>& declare,
                          const std::function<int(ToolContext&)>& run) {
  // What ps and top call the process, which has started itself as "exe" or by a link's target.
  ::prctl(PR_SET_NAME, info.name.c_str());
  occupy_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, handled as ClosedPipe
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file that grows beyond its limit
  const auto fail = [&](Exit code, const std::string& text) {
    await_end_by_signal();
    print_error(cat(info.name, ": ", printable_line(text)));
    return static_cast<int>(code);
  };
  try {
    return run_checked(argc, argv, info, declare, run);
  } catch (const ClosedPipe&) {
    return 128 + SIGPIPE;
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(Exit::kMemory, "out of memory; close other programs or ask for less");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again)
      return fail(Exit::kMemory, "cannot start another thread; allow more (ulimit -u, -v)");
    return fail(Exit::kBug, cat(error.what(), "; this is a bug in nibble"));
  } catch (const std::exception& error) {
    return fail(Exit::kBug, cat(error.what(), "; this is a bug in nibble"));
  }
}

void ToolContext::say(std::string_view text) const {
  if (!quiet) print_error(cat(name, ": ", text));
}
void ToolContext::warn(std::string_view text) const {
  print_error(cat(name, ": ", printable_line(text)));
}
std::string version() {
  return NIBBLE_VERSION;
}

void ToolContext::detail(std::string_view text) const {
  if (verbose && !quiet) print_error(cat(name, ": ", text));
}

struct Progress::State {
  bool active = false, terminal = false, open_line = false;
  std::string prefix;
  Clock::time_point begin{}, last{};
  Clock::duration interval{};
};

Progress::Progress(const ToolContext& context) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.terminal = ::isatty(STDERR_FILENO) == 1;
  s.active = !context.quiet && context.progress != ToolContext::ProgressMode::kNever;
  s.prefix = context.name + ": ";
  s.interval = s.terminal ? std::chrono::milliseconds(250) : std::chrono::seconds(5);
  s.begin = s.last = Clock::now();
}

Progress::~Progress() {
  if (state_->open_line) print_error("");
}

bool Progress::due() const {
  return state_->active && Clock::now() - state_->last >= state_->interval;
}

void Progress::show(const std::string& text) {
  State& s = *state_;
  if (!s.active) return;
  s.last = Clock::now();
  if (!s.terminal) return print_error(s.prefix + text);
  const std::string line = cat("\r\x1b[K", s.prefix, text);
  s.open_line = ::write(STDERR_FILENO, line.data(), line.size()) >= 0;
}

void Progress::finish(const std::string& text) {
  show(text);
  if (state_->open_line) print_error("");
  state_->open_line = false;
}

std::string Progress::share(int64_t done, int64_t all) const {
  const std::string percent = cat(100 * done / std::max<int64_t>(1, all), " %");
  if (done == 0) return percent;
  const std::chrono::duration<double> spent = Clock::now() - state_->begin;
  const double rest = spent.count() * static_cast<double>(all - done) / static_cast<double>(done);
  return cat(percent, ", ", std::llround(rest), " s left");
}

std::string resources_used() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  const double cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  const double wall = std::chrono::duration<double>(Clock::now() - process_start).count();
  const auto tenths = [](double x) { return std::round(x * 10) / 10; };
  return cat(tenths(wall), " s wall, ", tenths(cpu), " s CPU, peak memory ",
             format_size(peak_rss()));
}

std::string resources_used(const ToolContext& context, uint64_t device_bytes) {
  const std::string used = resources_used();
  return device_bytes == 0
             ? used
             : cat(used, ", ", format_size(device_bytes), " of ", context.device, "'s");
}

void write_stdout(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE) throw ClosedPipe{};
      throw IoError(cat("(standard output): cannot write: ", errno_text(errno),
                        "; free some space and run again"));
    }
    text.remove_prefix(static_cast<size_t>(n));
  }
}

void refuse_to_replace(const std::string& out, std::span<const std::string> inputs) {
  std::error_code error;
  for (const std::string& input : inputs)
    if (fs::equivalent(out, input, error))
      throw UsageError(cat(out, ": is an input too, and would be replaced; name another output"));
}

void refuse_terminal(std::string_view what) {
  if (::isatty(STDOUT_FILENO) == 1)
    throw UsageError(cat(what, " is binary and standard output is a terminal; use -o FILE"));
}

}  // namespace nibble
