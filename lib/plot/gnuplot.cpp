// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/quote.h"
#include "plot/image.h"

extern char** environ;

namespace nibble {
namespace {

constexpr const char* kRemedy =
    "; install gnuplot-nox, or leave --out away to draw in the terminal";

// Both ends of a pipe, closed with it.
struct Pipe {
  std::array<int, 2> ends = {-1, -1};
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      throw IoError(cat("cannot make a pipe: ", errno_text(errno), "; close other programs"));
  }
  ~Pipe() {
    shut(0);
    shut(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void shut(size_t end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
};

// The environment without what would change gnuplot's language, terminal or search path.
std::vector<char*> plain_environment(std::string& locale) {
  std::vector<char*> out = {locale.data()};
  for (char** e = environ; *e; ++e) {
    const std::string_view entry = *e;
    if (!entry.starts_with("LC_") && !entry.starts_with("GNUTERM=") &&
        !entry.starts_with("GNUPLOT_LIB=") && !entry.starts_with("GDFONTPATH="))
      out.push_back(*e);
  }
  out.push_back(nullptr);
  return out;
}

pid_t start(Pipe& in, Pipe& out, Pipe& err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.ends[1], STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::string name = "gnuplot", defaults = "--default-settings", locale = "LC_ALL=C.UTF-8";
  char* arguments[] = {name.data(), defaults.data(), nullptr};
  std::vector<char*> environment = plain_environment(locale);
  pid_t child = -1;
  const int error =
      ::posix_spawnp(&child, "gnuplot", &actions, &attributes, arguments, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == ENOENT)
    throw UnavailableError(cat("gnuplot is not installed, and draws SVG and PNG", kRemedy));
  if (error != 0) throw UnavailableError(cat("gnuplot cannot run: ", errno_text(error), kRemedy));
  in.shut(0);
  out.shut(1);
  err.shut(1);
  return child;
}

// Writes the script while reading what comes, so that neither side waits for the other.
void talk(std::string_view script, Pipe& in, Pipe& out, Pipe& err, std::string& image,
          std::string& said) {
  ::fcntl(in.ends[1], F_SETFL, O_NONBLOCK);
  const auto drain = [](Pipe& pipe, std::string& to, size_t limit) {
    char buffer[1 << 16];
    const ssize_t n = ::read(pipe.ends[0], buffer, sizeof buffer);
    if (n > 0 && to.size() < limit) to.append(buffer, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) pipe.shut(0);
  };
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    struct pollfd waits[3] = {
        {in.ends[1], POLLOUT, 0}, {out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};
    if (::poll(waits, 3, -1) < 0 && errno != EINTR)
      throw IoError(cat("cannot wait for gnuplot: ", errno_text(errno), "; run again"));
    if (waits[0].revents) {
      const ssize_t n = ::write(in.ends[1], script.data(), script.size());
      if (n > 0) script.remove_prefix(static_cast<size_t>(n));
      const bool gone = n < 0 && errno != EAGAIN && errno != EINTR;
      if (gone || script.empty()) in.shut(1);
    }
    if (waits[1].revents) drain(out, image, SIZE_MAX);
    if (waits[2].revents) drain(err, said, 1 << 16);
  }
}

// The first line of what gnuplot said that tells a fault.
std::string complaint(const std::string& said) {
  size_t begin = 0;
  while (begin < said.size()) {
    const size_t end = std::min(said.find('\n', begin), said.size());
    const std::string_view line = std::string_view(said).substr(begin, end - begin);
    if (line.find("line ") != std::string_view::npos) return quote(line, 160);
    begin = end + 1;
  }
  return quote(said.substr(0, said.find('\n')), 160);
}

}  // namespace

std::string run_gnuplot(std::string_view script) {
  std::string image, said;
  Pipe in, out, err;
  const pid_t child = start(in, out, err);
  talk(script, in, out, err, image, said);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status))
    throw IoError(cat("gnuplot was ended by signal ", WTERMSIG(status), "; run again"));
  const int code = WEXITSTATUS(status);
  if (said.find("unknown or ambiguous terminal") != std::string::npos)
    throw UnavailableError(cat("this gnuplot cannot write such images", kRemedy));
  if (code == 127) throw UnavailableError(cat("gnuplot cannot run", kRemedy));
  if (code != 0 || image.empty())
    throw UnavailableError(cat("gnuplot drew nothing: ", complaint(said), kRemedy));
  return image;
}

}  // namespace nibble
