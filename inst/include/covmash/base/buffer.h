#pragma once
// Memory aligned to cache lines, so that no register load straddles two of them. Not initialised: a fresh page costs as
// much as computing what goes into it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace covmash {

template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n) { require_size(n); }

  // At least n elements; keeps no content when it grows.
  T* require_size(std::size_t n) {
    if (n > size_) {
      memory_.reset(new unsigned char[n * sizeof(T) + alignment]);
      const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
      data_ = reinterpret_cast<T*>((address + alignment - 1) / alignment * alignment);
      size_ = n;
      ask_for_large_pages();
    }
    return data_;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t alignment = 64;

  // One fault then brings 2 MB in place of 4 kB. Only a wish: where it is not granted nothing is lost.
  void ask_for_large_pages() const {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::size_t page = 4096, large = std::size_t(1) << 21;
    const std::size_t bytes = size_ * sizeof(T);
    if (bytes < 4 * large) return;
    const auto from = (reinterpret_cast<std::uintptr_t>(data_) + page - 1) / page * page;
    madvise(reinterpret_cast<void*>(from), (bytes - page) / page * page, MADV_HUGEPAGE);
#endif
  }

  std::unique_ptr<unsigned char[]> memory_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace covmash
