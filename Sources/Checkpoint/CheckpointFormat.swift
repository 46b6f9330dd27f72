// How a checkpoint is laid out. All numbers are little-endian.
//
//     header     64 bytes, see `CheckpointHeader`
//     block      16 bytes: kind (1), zero (3), length of the payload (4), records in it (4), checksum (4); the payload
//     ...
//     block      of kind `end`, and nothing behind it
//
// A block's checksum is the CRC-32C of all that stands before it from the last checksum on, continued from that one, and
// of its payload. So no byte can change, no block be missing, and none change places, without a checksum that differs.
//
// A checkpoint is made while bindings change. It holds a copy of each binding at some moment of its making, and behind
// them, as changes, all that was touched meanwhile as it was in the end: what they amount to together is the state of
// one moment, the last (CheckpointSnapshot). The reader learns the ids of the changes first and passes over the copies
// that they outdate.

/// Bounds and numbers of the format.
enum CheckpointFormat {
    static let version: UInt16 = 1
    /// "MOORCKPT".
    static let magic: UInt64 = 0x5450_4B43_524F_4F4D
    static let headerLength = 64
    static let blockHeaderLength = 16
    /// Of a payload, in bytes.
    static let blockLimit = 1 << 18
    /// Of one record, in bytes; a payload has room for several.
    static let recordLimit = 1 << 15

    /// What a block holds.
    enum Kind: UInt8 {
        /// Bindings as they were when the copy came to them.
        case bindings = 1
        /// Groups, or a part of one.
        case groups = 2
        /// Bindings that were touched since, as they are at the end.
        case changedBindings = 3
        /// Ids of bindings that went since.
        case removedBindings = 4
        /// Groups that were touched since, as they are at the end.
        case changedGroups = 5
        /// What concerns all of it.
        case end = 6
    }

    /// Bits of a binding's flags.
    enum Flag {
        static let homeAddress: UInt32 = 1 << 0
        static let endpoint: UInt32 = 1 << 1
        static let gre: UInt32 = 1 << 2
        static let greKey: UInt32 = 1 << 3
        static let greSequence: UInt32 = 1 << 4
        static let greChecksum: UInt32 = 1 << 5
        static let udpPort: UInt32 = 1 << 6
        static let pipe: UInt32 = 1 << 7
        static let ecnCompatibility: UInt32 = 1 << 8
        static let tunnelMTU: UInt32 = 1 << 9
        static let mtuDiscovery: UInt32 = 1 << 10
        static let expiry: UInt32 = 1 << 11
        static let fromFile: UInt32 = 1 << 12
        static let sequenceNumbers: UInt32 = 1 << 13
        static let owner: UInt32 = 1 << 14
        static let mobileNode: UInt32 = 1 << 15
        /// Two bits: the encapsulation.
        static let encapsulationShift: UInt32 = 16
        /// Two bits: what is carried within UDP.
        static let udpEncapsulationShift: UInt32 = 18
        /// A list of networks follows that of prefixes.
        static let networks: UInt32 = 1 << 20
        static let all: UInt32 = 0x1F_FFFF
    }

    /// A group's record begins with these flags.
    enum GroupFlag {
        /// It is the first part of the group, and what was said of it before counts no more.
        static let first: UInt8 = 1
    }
}
