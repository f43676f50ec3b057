// Memory that plans share.
#include "core/executor/arenas.h"

#include "tests/cc/check.h"

namespace headrace {
namespace {

TEST(arenas, go_to_the_smallest_need_that_they_meet) {
  Arenas arenas;
  BufferRef small = arenas.take(1000), large = arenas.take(3000);
  const void *at_small = small->data(), *at_large = large->data();
  CHECK(at_small != at_large);
  arenas.give_back(std::move(large));
  arenas.give_back(std::move(small));
  BufferRef first = arenas.take(900), second = arenas.take(900);
  CHECK_EQ(first->data(), at_small);
  CHECK_EQ(second->data(), at_large);
}

TEST(arenas, that_are_too_small_make_room_for_larger_ones) {
  Arenas arenas;
  arenas.give_back(arenas.take(1000));
  arenas.give_back(arenas.take(3000));
  const std::int64_t made = BufferRef::made();
  BufferRef taken = arenas.take(500);
  CHECK_EQ(BufferRef::made(), made);
  CHECK_EQ(taken->bytes(), std::size_t(3000));
  arenas.take(500);
  CHECK_EQ(BufferRef::made(), made + 1);  // the smaller one is gone
}

}  // namespace
}  // namespace headrace
