// SPDX-License-Identifier: Apache-2.0
// OpenAssistant's trees of messages: a message with its "replies", or {"prompt": message}, as the
// trees are published; or the rows of one tree, which are joined to {"message_tree": [...]} while
// reading (message_rows.h). Of replies the best is the one of the lowest "rank", else of the
// highest "score", else the first. A path ends with an answer; questions without one are left away.
// With all paths, an answer that several share is trained on in the first of them alone.
#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/quote.h"
#include "data/conversation.h"

namespace nibble {
namespace {

using simdjson::dom::element;

constexpr int kMaxDepth = 1000;  // of messages under one another

struct Node {
  Message message;
  bool ranked = false, scored = false;
  double rank = 0, score = 0;
  std::vector<size_t> replies;
  bool learnt = false, deleted = false, answers = false;  // answers: it or one below is an answer
};

using Tree = std::vector<Node>;

Node read_node(const Fields& fields) {
  const std::string_view role = fields.text("role");
  Node node;
  if (role == "prompter" || role == "user")
    node.message.role = "user";
  else if (role == "assistant" || role == "system")
    node.message.role = role;
  else
    fields.fail(cat("role ", quote(role), " is none of prompter, assistant and system"));
  node.message.content = fields.text("text");
  const auto number = [&](const char* name, double& value) {
    if (!fields.has(name)) return false;
    std::string_view text;  // the cell of a table
    if (fields.at(name).get_string().get(text) == simdjson::SUCCESS) {
      if (text.empty()) return false;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc() && end == text.data() + text.size()) return true;
    }
    if (fields.at(name).get_double().get(value) != simdjson::SUCCESS)
      fields.fail(cat("\"", name, "\" is ", kind_name(fields.at(name).type()), ", not a number"));
    return true;
  };
  node.ranked = number("rank", node.rank);
  node.scored = number("score", node.score);
  bool deleted = false;
  if (fields.has("deleted") && fields.at("deleted").get_bool().get(deleted) == simdjson::SUCCESS)
    node.deleted = deleted;
  return node;
}

// Appends the message and, after it, what is below; returns its place in the tree.
size_t read_nested(element value, const std::string& place, int depth, Tree& tree) {
  const Fields fields(value, own_names(), place);
  if (depth > kMaxDepth) fields.fail(cat("more than ", kMaxDepth, " messages deep"));
  const size_t at = tree.size();
  tree.push_back(read_node(fields));
  if (!fields.has("replies")) return at;
  size_t i = 0;
  for (const auto reply : fields.array("replies")) {
    const size_t child = read_nested(reply, cat(place, "replies[", i++, "]: "), depth + 1, tree);
    tree[at].replies.push_back(child);
  }
  return at;
}

void read_rows(const Fields& record, Tree& tree) {
  std::map<std::string, size_t, std::less<>> by_id;
  size_t i = 0;
  for (const auto item : record.array("message_tree")) {
    const Fields fields(item, own_names(), cat("message ", i + 1, " of the tree: "));
    tree.push_back(read_node(fields));
    if (!by_id.emplace(fields.text("message_id"), i).second)
      fields.fail(cat("its \"message_id\" ", quote(fields.text("message_id")), " is there twice"));
    ++i;
  }
  i = 0;
  for (const auto item : record.array("message_tree")) {
    const Fields fields(item, own_names(), cat("message ", i + 1, " of the tree: "));
    if (fields.text_or("parent_id", "").empty()) {
      if (i != 0) fields.fail("a second message without \"parent_id\"");
    } else {
      const auto parent = by_id.find(fields.text("parent_id"));
      if (parent == by_id.end())
        fields.fail(cat("its parent ", quote(fields.text("parent_id")),
                        " is not among the tree's messages; rows of one tree must stand together"));
      // A parent stands before its replies, so that no message is below itself.
      if (parent->second >= i) fields.fail("it stands before its parent");
      tree[parent->second].replies.push_back(i);
    }
    ++i;
  }
}

class Walker {
 public:
  Walker(Tree& tree, Paths paths, Conversations& found)
      : tree_(tree), paths_(paths), found_(found) {
    // What is below stands behind.
    for (size_t i = tree_.size(); i-- > 0;) {
      Node& node = tree_[i];
      for (const size_t reply : node.replies)
        if (!tree_[reply].deleted) node.answers |= tree_[reply].answers;
      node.answers |= node.message.role == "assistant";
    }
  }

  void walk() {
    for (const Node& node : tree_) found_.left_out += node.deleted;
    if (!tree_[0].deleted && tree_[0].answers) descend(0, 0);
  }

 private:
  bool better(const Node& a, const Node& b) const {
    if (a.ranked != b.ranked) return a.ranked;
    if (a.ranked && a.rank != b.rank) return a.rank < b.rank;
    if (a.scored != b.scored) return a.scored;
    return a.scored && a.score > b.score;
  }

  void descend(size_t at, int depth) {
    if (depth > kMaxDepth) throw DataError(cat("more than ", kMaxDepth, " messages deep"));
    path_.push_back(at);
    std::vector<size_t> next;
    for (const size_t reply : tree_[at].replies)
      if (!tree_[reply].deleted && tree_[reply].answers) next.push_back(reply);
    if (paths_ == Paths::kBest && next.size() > 1) {
      size_t best = next[0];
      for (const size_t reply : next)
        if (better(tree_[reply], tree_[best])) best = reply;
      next.assign(1, best);
    }
    for (const size_t reply : next) descend(reply, depth + 1);
    if (next.empty()) end();
    path_.pop_back();
  }

  void end() {
    Conversation& conversation = found_.all.emplace_back();
    for (const size_t at : path_) {
      conversation.messages.push_back(tree_[at].message);
      if (tree_[at].learnt) conversation.messages.back().train = false;
      tree_[at].learnt |= tree_[at].message.role == "assistant";
    }
  }

  Tree& tree_;
  Paths paths_;
  Conversations& found_;
  std::vector<size_t> path_;
};

void read_tree(const Fields& record, Paths paths, Conversations& found) {
  Tree tree;
  if (record.has("message_tree"))
    read_rows(record, tree);
  else if (record.has("prompt"))
    read_nested(record.at("prompt"), "prompt: ", 0, tree);
  else
    read_nested(record.value(), "", 0, tree);
  if (tree.empty()) record.fail("a tree without messages");
  Walker(tree, paths, found).walk();
}

}  // namespace

constinit const Form kOasstForm = {
    .name = "oasst",
    .fields = R"({"role", "text", "replies": [...], "rank"}, or rows with "parent_id")",
    .matches =
        [](const Fields& record) {
          return record.has("message_tree") ||
                 (record.has("prompt") && record.at("prompt").is_object()) ||
                 (record.has("text") && record.has("role") && record.has("replies"));
        },
    .read =
        [](const Fields& record, Conversation& conversation) {
          Conversations found;
          read_tree(record, Paths::kBest, found);
          if (found.all.empty()) record.fail("a tree without an answer");
          conversation = std::move(found.all[0]);
        },
    .read_all = read_tree,
};

}  // namespace nibble
