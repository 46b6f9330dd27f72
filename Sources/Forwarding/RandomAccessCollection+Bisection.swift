// Where a page of an ordered list begins.

extension RandomAccessCollection where Index == Int {
    /// The first position of those that `isBehind`, which are all behind the others; the end where there are none.
    func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
