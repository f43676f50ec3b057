#include "core/plan/pieces.h"

#include <algorithm>
#include <map>
#include <queue>
#include <tuple>

#include "core/plan/waits.h"

namespace headrace {
namespace {

// What the nodes of one piece have in common. A level ends where a tensor or a control edge crosses devices.
struct Group {
  std::vector<int> nodes, blocking;  // positions in the order
};

class Division {
 public:
  Division(std::span<Node* const> order, const std::vector<char>& ready, const Placement& placement)
      : order_(order), ready_(ready), placement_(placement), waits_(order.size()) {}

  std::vector<Piece> make() {
    group();
    for (Group& group : groups_) separate(group);
    return pieces();
  }

 private:
  template <class F>
  static void for_each_before(const Node& node, F&& f) {
    for (const Output& input : node.inputs()) f(*input.node);
    for (const Node* before : node.control_inputs()) f(*before);
  }

  void group() {
    int ids = 0;
    for (const Node* node : order_) ids = std::max(ids, node->id() + 1);
    position_.assign(std::size_t(ids), 0);
    std::vector<int> level(order_.size(), 0), before;
    std::map<std::tuple<int, int, Device*>, int> number;
    MayWait may_wait;
    piece_of_.assign(order_.size(), -1);
    for (int at = 0; at < int(order_.size()); ++at) {
      const Node& node = *order_[std::size_t(at)];
      position_[std::size_t(node.id())] = at;
      const bool is_ready = ready_[std::size_t(node.id())];
      Device* device = is_ready ? placement_.at(&node) : nullptr;
      before.clear();
      for_each_before(node, [&](const Node& other) {
        before.push_back(position(other));
        const int crossed = placement_.at(&other) == device ? 0 : 1;
        if (is_ready)
          level[std::size_t(at)] = std::max(level[std::size_t(at)], level_of(level, other) + crossed);
      });
      const bool blocks = may_wait(node);
      waits_.add(before, blocks);
      if (node.has(Trait::argument)) continue;
      const auto [it, added] =
          number.try_emplace({waits_.before(at), level[std::size_t(at)], device}, int(groups_.size()));
      if (added) groups_.emplace_back();
      Group& group = groups_[std::size_t(it->second)];
      (blocks ? group.blocking : group.nodes).push_back(at);
      piece_of_[std::size_t(at)] = it->second;
    }
    num_pieces_ = int(groups_.size());
  }
  int position(const Node& node) const { return position_[std::size_t(node.id())]; }
  int level_of(const std::vector<int>& level, const Node& node) const {
    return level[std::size_t(position(node))];
  }

  // Gives the blocking nodes of a group pieces of their own, unless whoever reads from the group depends on
  // all of them.
  void separate(const Group& group) {
    if (group.blocking.empty() || group.nodes.size() + group.blocking.size() == 1) return;
    int all = 0;
    for (int at : group.blocking) all = waits_.unite(all, waits_.after(at));
    const int own = piece_of_[std::size_t(group.blocking[0])];
    const auto holds_up = [&](int at) {
      const auto uses = order_[std::size_t(at)]->uses();
      return std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
        const int reader = position(*use.node);
        return piece_of_[std::size_t(reader)] != own && !waits_.contains(waits_.before(reader), all);
      });
    };
    if (std::none_of(group.nodes.begin(), group.nodes.end(), holds_up) &&
        std::none_of(group.blocking.begin(), group.blocking.end(), holds_up)) {
      return;
    }
    // One of them may stay if it is alone.
    const std::size_t staying = group.nodes.empty() ? 1 : 0;
    for (std::size_t i = staying; i < group.blocking.size(); ++i)
      piece_of_[std::size_t(group.blocking[i])] = num_pieces_++;
  }

  // Numbered so that each comes after those that it waits for; otherwise in the order of their first nodes.
  std::vector<Piece> pieces() const {
    const auto count = std::size_t(num_pieces_);
    std::vector<Piece> made(count);
    std::vector<std::vector<int>> readers(count);
    for (std::size_t at = 0; at < order_.size(); ++at) {
      const int own = piece_of_[at];
      if (own < 0) continue;
      Node& node = *order_[at];
      Piece& piece = made[std::size_t(own)];
      piece.nodes.push_back(&node);
      if (ready_[std::size_t(node.id())]) piece.device = placement_.at(&node);
      piece.may_wait = piece.may_wait || waits_.before(int(at)) != waits_.after(int(at));
      for_each_before(node, [&](const Node& other) {
        const int from = piece_of_[std::size_t(position(other))];
        if (from >= 0 && from != own) piece.after.push_back(from);
      });
    }
    std::vector<int> missing(count), new_number(count);
    std::priority_queue<int, std::vector<int>, std::greater<>> next;
    for (std::size_t i = 0; i < count; ++i) {
      auto& after = made[i].after;
      std::sort(after.begin(), after.end());
      after.erase(std::unique(after.begin(), after.end()), after.end());
      missing[i] = int(after.size());
      for (int from : after) readers[std::size_t(from)].push_back(int(i));
      if (after.empty()) next.push(int(i));
    }
    std::vector<Piece> sorted;
    while (!next.empty()) {
      const int piece = next.top();
      next.pop();
      new_number[std::size_t(piece)] = int(sorted.size());
      sorted.push_back(std::move(made[std::size_t(piece)]));
      for (int& from : sorted.back().after) from = new_number[std::size_t(from)];
      for (int reader : readers[std::size_t(piece)]) {
        if (--missing[std::size_t(reader)] == 0) next.push(reader);
      }
    }
    if (sorted.size() != count) internal("pieces of a plan wait for each other");
    return sorted;
  }

  const std::span<Node* const> order_;
  const std::vector<char>& ready_;
  const Placement& placement_;
  Waits waits_;
  std::vector<int> position_;  // by node id
  std::vector<int> piece_of_;  // by position; -1 for arguments
  std::vector<Group> groups_;
  int num_pieces_ = 0;
};

}  // namespace

std::vector<Piece> divide(std::span<Node* const> order, const std::vector<char>& ready,
                          const Placement& placement) {
  return Division(order, ready, placement).make();
}

}  // namespace headrace
