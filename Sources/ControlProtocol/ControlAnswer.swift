// What a handler answers, and to whom.

import Bindings

/// An answer to a request.
public enum ControlAnswer {
    /// What belongs to the request, or an error.
    case reply(ControlReply.OneOf_Body)
    /// There is more to do than fits between other clients' requests: the function does some of it and is called again,
    /// when others have had their turn, until it returns a reply. Once begun it is carried through, also where the client
    /// has gone; further requests of the client come when it is done.
    case unfinished(() -> ControlAnswer)
}

/// A client, for the time of its connection.
public final class ControlOrigin {
    /// The process at the other end.
    public let peer: ControlPeer
    /// Whose the bindings are that it puts; empty for the owner that all have in common who name none.
    public internal(set) var owner = ""

    init(_ peer: ControlPeer) {
        self.peer = peer
    }

    /// Whether a text may name an owner: at most 64 letters, digits, dots, underscores and hyphens, the first a letter or
    /// digit. What does not begin so names what has come by no connection.
    public static func isOwner(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
        }
        return text.utf8.count <= BindingLimits.ownerLength && text.utf8.first.map(isAlphanumeric) != false
            && text.utf8.allSatisfy { isAlphanumeric($0) || "._-".utf8.contains($0) }
    }
}
