/// Values with numbers that stay theirs while they are in, and that are used again.
struct Slots<Value> {
    private var values: [Value?] = []
    private var free: [UInt32] = []

    var count: Int { values.count - free.count }

    /// Of all that are in.
    var numbers: [UInt32] { values.indices.lazy.filter { values[$0] != nil }.map { UInt32($0) } }

    /// - Returns: its number.
    mutating func insert(_ value: Value) -> UInt32 {
        if let number = free.popLast() {
            values[Int(number)] = value
            return number
        }
        values.append(value)
        return UInt32(values.count - 1)
    }

    mutating func remove(_ number: UInt32) {
        precondition(values[Int(number)] != nil, "nothing is there")
        values[Int(number)] = nil
        free.append(number)
    }

    /// Of a number that is in.
    subscript(number: UInt32) -> Value {
        get { values[Int(number)]! }
        _modify { yield &values[Int(number)]! }
    }

    mutating func changeEach(_ body: (inout Value) -> Void) {
        for index in values.indices where values[index] != nil { body(&values[index]!) }
    }
}
