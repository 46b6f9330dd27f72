// Many bindings as the bytes of PutBindings messages, one batch after the other as they are asked for, so that a million
// of them never lie in memory twice.

import Bindings
import NIOCore
import SwiftProtobuf

/// A batch of a load, encoded.
struct ControlBatch {
    /// A `PutBindings`, as the request bears it.
    var message: ByteBuffer
    /// How many bindings it puts.
    var bindings = 0
}

/// What is to be put, in batches, none of which is longer than a limit as a request; one at least.
struct ControlBatches: Sequence, IteratorProtocol {
    /// Around a field of a message: its tag and its length; around the batch, the request's id, the batch's tag and length.
    private static let overhead = 8
    private static let requestOverhead = 64

    private let removedIDs: [String]
    private let bindings: [Binding]
    private let groups: [(field: Int, group: ControlGroup)]
    /// Bytes of a batch.
    private let room: Int
    private var nextRemoved = 0
    private var nextBinding = 0
    private var nextGroup = 0
    private var nextMember = 0
    private var isFirst = true

    /// - Parameter limit: of a request, in bytes.
    init(
        _ bindings: [Binding], removing removedIDs: [String] = [], leaving: [ControlGroup] = [],
        joining: [ControlGroup] = [], limit: Int
    ) {
        self.bindings = bindings
        self.removedIDs = removedIDs
        // Memberships end first and begin last, so that no batch names a member before its binding.
        leavingCount = leaving.count
        groups = leaving.map { (Field.leave, $0) } + joining.map { (Field.join, $0) }
        room = limit - Self.requestOverhead
    }

    private let leavingCount: Int

    private enum Field {
        static let removeIDs = 2
        static let leave = 4
        static let join = 5
    }

    /// Whether all has been given out.
    var isAtEnd: Bool {
        nextRemoved == removedIDs.count && nextBinding == bindings.count && nextGroup == groups.count && !isFirst
    }

    mutating func next() -> ControlBatch? {
        guard !isAtEnd else { return nil }
        isFirst = false
        var batch = ControlBatch(message: ByteBuffer())
        var isFull = false
        while !isFull, nextRemoved < removedIDs.count {
            let id = removedIDs[nextRemoved]
            isFull = !add(id.utf8.count, to: &batch) { $0.writeField(Field.removeIDs, id.utf8) }
            if !isFull { nextRemoved += 1 }
        }
        while !isFull, nextGroup < leavingCount { isFull = !addMembers(to: &batch) }
        while !isFull, nextBinding < bindings.count {
            let binding = bindings[nextBinding]
            let size = binding.encodedSize
            isFull = !add(size, to: &batch) { $0.write(binding, encodedSize: size) }
            if !isFull {
                nextBinding += 1
                batch.bindings += 1
            }
        }
        while !isFull, nextGroup < groups.count { isFull = !addMembers(to: &batch) }
        return batch
    }

    /// - Returns: false where there is no room for it.
    private func add(_ bytes: Int, to batch: inout ControlBatch, _ write: (inout ByteBuffer) -> Void) -> Bool {
        let size = batch.message.readableBytes
        guard size == 0 || size + bytes + Self.overhead <= room else { return false }
        write(&batch.message)
        return true
    }

    /// Adds those members of the next group that fit.
    /// - Returns: false where there is no room for all.
    private mutating func addMembers(to batch: inout ControlBatch) -> Bool {
        let (field, group) = groups[nextGroup]
        var part = ControlGroup()
        part.group = group.group
        var size = batch.message.readableBytes + group.group.count + 2 * Self.overhead
        while nextMember < group.members.count {
            let member = group.members[nextMember]
            size += member.utf8.count + Self.overhead
            guard size <= room || (batch.message.readableBytes == 0 && part.members.isEmpty) else { break }
            part.members.append(member)
            nextMember += 1
        }
        if !part.members.isEmpty {
            do {
                let bytes: [UInt8] = try part.serializedBytes()
                batch.message.writeField(field, bytes)
            } catch {
                preconditionFailure("a message without required fields can always be encoded: \(error)")
            }
        }
        guard nextMember == group.members.count else { return false }
        nextGroup += 1
        nextMember = 0
        return true
    }
}

extension ByteBuffer {
    /// Appends a field of bytes.
    fileprivate mutating func writeField(_ field: Int, _ bytes: some Collection<UInt8>) {
        writeInteger(UInt8(field << 3 | 2))
        writeNumber(UInt64(bytes.count))
        writeBytes(bytes)
    }
}
