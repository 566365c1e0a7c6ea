#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

/// Counts what a test program asks the allocator of C++ for. Replaces the program's operators, so
/// exactly one source file of a program includes this.
namespace weir::testing {

/// Only of the thread that set it.
inline thread_local bool counting_allocations = false;
inline thread_local std::int64_t allocations = 0;

/// Not inlined: the compiler would pair `malloc` with the `delete` of its caller and complain.
[[gnu::noinline]] inline void* counted_allocation(std::size_t bytes) {
  if (counting_allocations) ++allocations;
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] inline void counted_release(void* memory) { std::free(memory); }

}  // namespace weir::testing

void* operator new(std::size_t bytes) { return weir::testing::counted_allocation(bytes); }
void* operator new[](std::size_t bytes) { return weir::testing::counted_allocation(bytes); }
void operator delete(void* memory) noexcept { weir::testing::counted_release(memory); }
void operator delete[](void* memory) noexcept { weir::testing::counted_release(memory); }
void operator delete(void* memory, std::size_t) noexcept { weir::testing::counted_release(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  weir::testing::counted_release(memory);
}
