// SPDX-License-Identifier: Apache-2.0
// Masks: which bytes of a rendered conversation are trained on.
//
// A template with {% generation %} says so itself. Otherwise a turn is what was written while the
// template's loop stood at its message, without what the loop wrote there of other messages. Of an
// assistant's turn the prompt's part is what add_generation_prompt writes in its place when the
// conversation ends before it; of another's, what stays the same with another content. Where a
// template loops over something else than its messages, the conversation is rendered up to the turn
// and with it, and both must be beginnings of the whole.
#include "text/chat_masks.h"

#include <algorithm>
#include <map>

#include "base/common_prefix.h"
#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

using jinja::Range;

// How many messages are rendered again for every turn, which takes time by the square.
constexpr size_t kMostByBeginnings = 256;

std::string_view part(std::string_view text, Range r) {
  return text.substr(r.begin, r.end - r.begin);
}

// Where the text without the white space at its end ends.
size_t stripped_end(std::string_view text) {
  const std::string_view core = python_strip(text);
  return core.empty() ? 0 : static_cast<size_t>(core.data() - text.data()) + core.size();
}

bool begins_first(const Range& a, const Range& b) {
  return a.begin < b.begin;
}

bool trained(const Message& m) {
  return m.train.value_or(m.role == "assistant");
}

class Masker {
 public:
  Masker(const ChatTemplate& chat, std::span<const Message> messages, bool prompts,
         const ChatInputs& inputs)
      : chat_(chat),
        messages_(messages),
        inputs_(inputs),
        whole_(render_chat(chat, messages, prompts, inputs)),
        turns_(messages.size()),
        generation_(whole_.generation) {
    std::sort(generation_.begin(), generation_.end(), begins_first);
    for (const auto& [message, range] : whole_.messages) turns_[message].push_back(range);
    // A loop's ranges come after those of loops inside it.
    size_t outer = std::string::npos;
    for (auto at = whole_.messages.rbegin(); at != whole_.messages.rend(); ++at) {
      if (at->range.begin >= outer) inner_.push_back(*at);
      outer = std::min(outer, at->range.begin);
    }
  }

  std::vector<Segment> run() {
    std::vector<Range> ranges;
    for (size_t i = 0; i < messages_.size(); ++i)
      if (trained(messages_[i])) add_turn(i, ranges);
    std::sort(ranges.begin(), ranges.end(), begins_first);
    if (!source_for(chat_, inputs_).has_generation() && !whole_.messages.empty())
      take_out_hidden(ranges);
    return cut(ranges);
  }

 private:
  [[noreturn]] void unclear(size_t i, std::string_view why) const {
    throw DataError(cat(chat_.name, ": message ", i + 1, " (", messages_[i].role, "): ", why,
                        "; mark what is trained on with {% generation %}, or take another "
                        "--template"));
  }

  void add_turn(size_t i, std::vector<Range>& ranges) {
    if (source_for(chat_, inputs_).has_generation()) return add_generation(i, ranges);
    if (turns_[i].size() > 1) unclear(i, "the template writes it twice");
    if (turns_[i].empty()) return add_by_beginnings(i, ranges);
    const Range turn = turns_[i][0];
    const std::string_view text = part(whole_.text, turn);
    const size_t head =
        messages_[i].role == "assistant" ? head_of_answer(i, turn) : head_of_turn(i, text);
    add_without_others(
        i, {turn.begin + std::min(head, text.size()), turn.begin + stripped_end(text)}, ranges);
  }

  // Of what the template marks, what lies in the message's turn.
  void add_generation(size_t i, std::vector<Range>& ranges) {
    if (whole_.generation_lost)
      unclear(i, "the template has {% generation %} inside a macro or another block's text");
    if (turns_[i].empty() && !whole_.generation.empty() && whole_.messages.empty())
      unclear(i, "the template does not loop over its messages");
    for (const Range& turn : turns_[i]) {
      auto g = std::partition_point(generation_.begin(), generation_.end(),
                                    [&](const Range& r) { return r.begin < turn.begin; });
      for (; g != generation_.end() && g->begin < turn.end; ++g)
        if (g->end <= turn.end) ranges.push_back(*g);
    }
  }

  // How much of an answer's turn stands in the prompt when the model is asked for it.
  size_t head_of_answer(size_t i, const Range& turn) {
    const std::string_view text = part(whole_.text, turn);
    // Answers to the same role mostly begin alike, and no answer to another.
    std::optional<std::string>& known = answer_heads_[i > 0 ? messages_[i - 1].role : ""];
    if (known && text.starts_with(*known)) return known->size();
    const std::string prompt = prompt_before(i, turn);
    size_t head = prompt.size();
    if (prompt.empty())  // a template without generation prompt: white space alone is the answer's
      head = head_by_content(i, text);
    else if (!text.starts_with(prompt))  // the prompt says more than the turn keeps
      return whole_marks(text, std::min(common_prefix(text, prompt), head_by_content(i, text)));
    if (python_strip(text.substr(0, head)).empty()) head = 0;
    known = text.substr(0, head);
    return head;
  }

  std::string prompt_before(size_t i, const Range& turn) {
    const auto before = messages_.first(i);
    try {
      const std::string asked = render_chat(chat_, before, true, inputs_).text;
      if (asked.size() >= turn.begin &&
          asked.compare(0, turn.begin, whole_.text, 0, turn.begin) == 0)
        return asked.substr(turn.begin);
      const std::string unasked = render_chat(chat_, before, false, inputs_).text;
      if (asked.starts_with(unasked) && asked.size() > unasked.size())
        return asked.substr(unasked.size());
    } catch (const jinja::TemplateError&) {
      // A conversation that the template refuses where it ends there, as an empty one.
    }
    const std::string_view text = part(whole_.text, turn);
    return std::string(text.substr(0, head_by_content(i, text)));
  }

  // The same of another role's turn. Turns of one role mostly begin alike.
  size_t head_of_turn(size_t i, std::string_view text) {
    std::string& head = heads_[messages_[i].role];
    if (head.empty() || !text.starts_with(head)) head = text.substr(0, head_by_content(i, text));
    return head.size();
  }

  // How much of a turn is the same with another content.
  size_t head_by_content(size_t i, std::string_view text) {
    std::vector<Message> changed(messages_.begin(), messages_.end());
    std::erase_if(changed[i].fields, [](const Json::Member& f) { return f.first == "content"; });
    const bool taken = messages_[i].content.find(kOtherContent) != std::string::npos;
    changed[i].content = taken ? kYetAnotherContent : kOtherContent;
    changed[i].input.clear();
    const jinja::Rendered other = render_chat(chat_, changed, false, inputs_);
    for (const auto& [message, range] : other.messages)
      if (message == i) return common_prefix(text, part(other.text, range));
    unclear(i, "the template does not show where its content begins");
  }

  // For templates that do not loop over their messages.
  void add_by_beginnings(size_t i, std::vector<Range>& ranges) {
    if (!whole_.messages.empty()) return;  // this one it leaves out
    if (messages_.size() > kMostByBeginnings)
      unclear(i, "the template does not loop over its messages, and there are too many of them");
    const std::string before = render_chat(chat_, messages_.first(i), true, inputs_).text;
    const std::string with = render_chat(chat_, messages_.first(i + 1), false, inputs_).text;
    if (!whole_.text.starts_with(before) || !whole_.text.starts_with(with) ||
        with.size() < before.size())
      unclear(i, "the template does not show where its turn is");
    ranges.push_back({before.size(), std::max(before.size(), stripped_end(with))});
  }

  // The range without the turns of other messages inside it.
  void add_without_others(size_t i, Range range, std::vector<Range>& ranges) const {
    std::vector<Range> others;
    for (const auto& [message, other] : inner_)
      if (message != i && other.begin >= range.begin && other.end <= range.end)
        others.push_back(other);
    std::sort(others.begin(), others.end(), begins_first);
    for (const Range& other : others) {
      if (other.begin > range.begin) ranges.push_back({range.begin, other.begin});
      range.begin = std::max(range.begin, other.end);
    }
    if (range.begin < range.end) ranges.push_back(range);
  }

  // Takes messages out that have no turn of their own and stand in that of another: what a tool
  // gave, written by the turn that called it. It is what a rendering without them lacks.
  void take_out_hidden(std::vector<Range>& ranges) const {
    const auto hidden = [&](size_t i) { return turns_[i].empty() && !trained(messages_[i]); };
    for (size_t i = 1; i < messages_.size(); ++i) {
      if (!hidden(i) || !trained(messages_[i - 1])) continue;
      size_t end = i + 1;
      while (end < messages_.size() && hidden(end)) ++end;
      const Range own = written_for(chat_, messages_, inputs_, whole_.text, i, end);
      i = end;
      std::vector<Range> kept;
      for (const Range& r : ranges) {
        const Range before{r.begin, std::min(r.end, std::max(r.begin, own.begin))};
        const Range after{std::max(r.begin, std::min(r.end, own.end)), r.end};
        if (own.begin >= own.end || before.end == r.end || after.begin == r.begin) {
          kept.push_back(r);
          continue;
        }
        if (before.begin < before.end) kept.push_back(before);
        if (after.begin < after.end) kept.push_back(after);
      }
      ranges.swap(kept);
    }
  }

  std::vector<Segment> cut(const std::vector<Range>& ranges) const {
    std::vector<Segment> segments;
    const auto add = [&](bool label, Range r) {
      if (r.begin >= r.end) return;
      if (segments.empty() || segments.back().label != label) segments.push_back({label, {}});
      segments.back().text += part(whole_.text, r);
    };
    size_t at = 0;
    for (const Range& r : ranges) {
      add(false, {at, r.begin});
      add(true, {std::max(at, r.begin), r.end});
      at = std::max(at, r.end);
    }
    add(false, {at, whole_.text.size()});
    return segments;
  }

  const ChatTemplate& chat_;
  std::span<const Message> messages_;
  const ChatInputs& inputs_;
  const jinja::Rendered whole_;
  std::vector<std::vector<Range>> turns_;
  std::vector<Range> generation_;           // {% generation %} blocks, by where they begin
  std::vector<jinja::MessageRange> inner_;  // what loops wrote inside another turn
  // What the generation prompt put before an answer, by the role that is answered.
  std::map<std::string, std::optional<std::string>> answer_heads_;
  std::map<std::string, std::string> heads_;  // of other roles' turns
};

}  // namespace

std::vector<Segment> render(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt, const ChatInputs& inputs) {
  return Masker(chat, messages, add_generation_prompt, inputs).run();
}

}  // namespace nibble
