#include "core/plan/memory.h"

#include <algorithm>
#include <numeric>

#include "core/base/tensor.h"

namespace headrace {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); }

bool overlap_in_time(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// The blocks that are placed already, by offset: all of them, and those of each span of time.
class Placed {
 public:
  explicit Placed(std::span<const Block> blocks) {
    for (const Block& block : blocks) end_ = std::max(end_, block.last + 1);
    spans_.resize(std::size_t(end_) / kSpan + 1);
  }

  void add(const Block& block) {
    insert(all_, block);
    for (int span = block.first / kSpan; span <= block.last / kSpan; ++span)
      insert(spans_[std::size_t(span)], block);
  }

  // Those that may be in use when the block is, by offset; some perhaps more than once.
  std::span<const Block* const> near(const Block& block) {
    std::size_t count = 0;
    const int first = block.first / kSpan, last = block.last / kSpan;
    if (first == last) return spans_[std::size_t(first)];
    for (int span = first; span <= last; ++span) count += spans_[std::size_t(span)].size();
    // Sorting takes longer than looking at what is sorted already.
    constexpr std::size_t kSorting = 8;
    if (count * kSorting > all_.size()) return all_;
    near_.clear();
    for (int span = first; span <= last; ++span) {
      const auto& some = spans_[std::size_t(span)];
      near_.insert(near_.end(), some.begin(), some.end());
    }
    std::sort(near_.begin(), near_.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    return near_;
  }

 private:
  static constexpr int kSpan = 64;  // steps
  static void insert(std::vector<const Block*>& sorted, const Block& block) {
    const auto at =
        std::upper_bound(sorted.begin(), sorted.end(), block.offset,
                         [](std::size_t offset, const Block* other) { return offset < other->offset; });
    sorted.insert(at, &block);
  }

  int end_ = 0;
  std::vector<const Block*> all_, near_;
  std::vector<std::vector<const Block*>> spans_;
};

std::vector<Block*> largest_first(std::span<Block> blocks) {
  std::vector<Block*> order;
  for (Block& block : blocks) order.push_back(&block);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
  return order;
}

// The lowest offset where the block is apart from all in its way, which come by offset.
template <class InTheWay>
std::size_t lowest_offset(const Block& block, std::span<const Block* const> placed, InTheWay in_the_way) {
  std::size_t offset = 0;
  for (const Block* other : placed) {
    if (!in_the_way(*other)) continue;
    if (offset + aligned(block.bytes) <= other->offset) break;  // the gap before it is large enough
    offset = std::max(offset, other->offset + aligned(other->bytes));
  }
  return offset;
}

// So many kinds, the largest, share memory with each other: what there is beyond is small, and would take
// long.
constexpr std::size_t kMostKinds = 1024;

// One after the other.
std::size_t lay_out(std::span<Block> blocks) {
  std::size_t total = 0;
  for (Block& block : blocks) {
    block.offset = total;
    total += aligned(block.bytes);
  }
  return total;
}

}  // namespace

std::size_t assign_offsets(std::span<Block> blocks) {
  std::size_t total = 0;
  Placed placed(blocks);
  for (Block* block : largest_first(blocks)) {
    block->offset = lowest_offset(*block, placed.near(*block),
                                  [&](const Block& other) { return overlap_in_time(*block, other); });
    total = std::max(total, block->offset + aligned(block->bytes));
    placed.add(*block);
  }
  return total;
}

std::size_t assign_offsets(std::span<Block> blocks, std::span<const int> kind_of,
                           const std::function<bool(int, int)>& may_follow) {
  const int count = kind_of.empty() ? 0 : *std::max_element(kind_of.begin(), kind_of.end()) + 1;
  std::vector<std::vector<int>> members(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < blocks.size(); ++i) members[std::size_t(kind_of[i])].push_back(int(i));

  std::vector<Block> wholes;  // by kind
  for (int kind = 0; kind < count; ++kind) {
    std::vector<Block> own;
    for (int i : members[std::size_t(kind)]) own.push_back(blocks[std::size_t(i)]);
    Block whole{may_follow(kind, kind) ? assign_offsets(own) : lay_out(own), 0, -1};
    for (std::size_t i = 0; i < own.size(); ++i) {
      blocks[std::size_t(members[std::size_t(kind)][i])].offset = own[i].offset;
      whole.first = i == 0 ? own[i].first : std::min(whole.first, own[i].first);
      whole.last = std::max(whole.last, own[i].last);
    }
    wholes.push_back(whole);
  }

  std::size_t total = 0;
  std::vector<const Block*> placed;
  const auto kind = [&](const Block& whole) { return int(&whole - wholes.data()); };
  for (Block* whole : largest_first(wholes)) {
    if (whole->bytes == 0) continue;
    if (placed.size() == kMostKinds) {
      whole->offset = total;
      total += whole->bytes;
      continue;
    }
    whole->offset = lowest_offset(*whole, placed, [&](const Block& other) {
      if (overlap_in_time(*whole, other)) return true;
      return whole->last < other.first ? !may_follow(kind(*whole), kind(other))
                                       : !may_follow(kind(other), kind(*whole));
    });
    total = std::max(total, whole->offset + whole->bytes);
    const auto at =
        std::upper_bound(placed.begin(), placed.end(), whole->offset,
                         [](std::size_t offset, const Block* other) { return offset < other->offset; });
    placed.insert(at, whole);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].offset += wholes[std::size_t(kind_of[i])].offset;
  return total;
}

}  // namespace headrace
