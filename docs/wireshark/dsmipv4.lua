-- Dual-Stack Mobile IPv4 (RFC 5454) for Wireshark: the three extensions of type 152 in Mobile IPv4 registration
-- messages on UDP port 434.
--
-- Wireshark's own dissector `mip` names extension 152 and shows its content as bytes. It has no table that others could
-- add an extension to, and it stays in charge of the message: this is a post-dissector, which walks the extensions of
-- the same UDP payload once more and adds a tree of its own, also where the message is malformed and `mip` gives up.
--
-- Nothing is read past the payload: a length that reaches beyond it ends the walk with an expert entry.

local dsmipv4 = Proto("dsmipv4", "Dual-Stack Mobile IPv4 (RFC 5454)")

local PORT = 434
local UDP_HEADER_LENGTH = 8
local EXTENSION_TYPE = 152
-- The fixed part of a message, by its type; other messages carry no extensions of this kind (RFC 5944, 3.3 and 3.4).
local HEADER_LENGTHS = { [1] = 24, [3] = 20 }
local REQUEST, REPLY = 1, 3
-- Authentication extensions that end what they cover (RFC 5944, 3.5.2 to 3.5.4).
local MOBILE_HOME_AUTHENTICATION = 32
-- Extensions whose length has 16 bits behind a byte that is reserved or a subtype: RFC 4721, 3; RFC 3115, 2.
local LONG_LENGTH = { [36] = true, [37] = true, [38] = true, [47] = true }
local LINK_LOCAL_LENGTH = 255

local PREFIX_REQUEST, PREFIX_REPLY, TUNNELING_MODE = 1, 2, 3
local SUBTYPES = {
    [PREFIX_REQUEST] = "IPv6 Prefix Request",
    [PREFIX_REPLY] = "IPv6 Prefix Reply",
    [TUNNELING_MODE] = "IPv6 Tunneling Mode",
}
-- What follows the length field, in bytes (RFC 5454, 2.1 to 2.3).
local LENGTHS = { [PREFIX_REQUEST] = 18, [PREFIX_REPLY] = 20, [TUNNELING_MODE] = 2 }
-- The message that an extension stands in.
local MESSAGES = { [PREFIX_REQUEST] = REQUEST, [PREFIX_REPLY] = REPLY, [TUNNELING_MODE] = REQUEST }

-- RFC 5454, 2.2 and 5: 2 to 7 are kept for acceptance, 10 to 255 for rejection.
local CODES = {
    [0] = "accepted, IPv6 to be tunneled to the home address",
    [1] = "accepted, IPv6 to be tunneled to the care-of address",
    [8] = "rejected, reason unspecified",
    [9] = "rejected, administratively prohibited",
}
for code = 2, 7 do CODES[code] = "accepted, unassigned code" end
for code = 10, 255 do CODES[code] = "rejected, unassigned code" end

local fields = {
    type = ProtoField.uint8("dsmipv4.type", "Type", base.DEC, { [EXTENSION_TYPE] = "DSMIPv4 Extension" }),
    length = ProtoField.uint8("dsmipv4.length", "Length", base.DEC),
    subtype = ProtoField.uint8("dsmipv4.subtype", "Subtype", base.DEC, SUBTYPES),
    code = ProtoField.uint8("dsmipv4.code", "Code", base.DEC, CODES),
    accepted = ProtoField.bool("dsmipv4.accepted", "Accepted"),
    prefix_length = ProtoField.uint8("dsmipv4.prefixlen", "Prefix Length", base.DEC),
    reserved = ProtoField.uint8("dsmipv4.reserved", "Reserved", base.HEX),
    prefix = ProtoField.ipv6("dsmipv4.prefix", "Mobile IPv6 Network Prefix"),
    link_local = ProtoField.bool("dsmipv4.linklocal", "Link-local address instead of a prefix"),
    data = ProtoField.bytes("dsmipv4.data", "Data"),
}
dsmipv4.fields = fields

local group, severity = expert.group, expert.severity
local experts = {
    truncated = ProtoExpert.new(
        "dsmipv4.truncated", "Extension past the end of the message, or of what was captured", group.MALFORMED,
        severity.ERROR),
    no_subtype = ProtoExpert.new("dsmipv4.nosubtype", "Extension without a subtype", group.MALFORMED, severity.ERROR),
    wrong_length = ProtoExpert.new("dsmipv4.wronglength", "Wrong length", group.MALFORMED, severity.ERROR),
    unknown_subtype = ProtoExpert.new("dsmipv4.unknownsubtype", "Unknown subtype", group.UNDECODED, severity.WARN),
    wrong_message = ProtoExpert.new("dsmipv4.wrongmessage", "In the wrong message", group.PROTOCOL, severity.WARN),
    unprotected = ProtoExpert.new(
        "dsmipv4.unprotected", "Behind the authentication extension", group.SECURITY, severity.WARN),
    repeated = ProtoExpert.new("dsmipv4.repeated", "More than once in a message", group.PROTOCOL, severity.WARN),
    not_co_located = ProtoExpert.new(
        "dsmipv4.notcolocated", "Without a co-located care-of address", group.PROTOCOL, severity.WARN),
    prefix_length = ProtoExpert.new(
        "dsmipv4.badprefixlen", "Prefix length above 128 and not 255", group.PROTOCOL, severity.WARN),
    host_bits = ProtoExpert.new(
        "dsmipv4.hostbits", "Bits past the prefix length are set", group.PROTOCOL, severity.NOTE),
    not_link_local = ProtoExpert.new(
        "dsmipv4.notlinklocal", "Length 255 without a link-local address", group.PROTOCOL, severity.WARN),
    reserved = ProtoExpert.new("dsmipv4.reservedset", "Reserved field is not zero", group.PROTOCOL, severity.NOTE),
    unassigned_code = ProtoExpert.new("dsmipv4.unassignedcode", "Unassigned code", group.PROTOCOL, severity.NOTE),
}
dsmipv4.experts = experts

local udp_source, udp_destination = Field.new("udp.srcport"), Field.new("udp.dstport")
local udp_payload = Field.new("udp.payload")

-- Whether a bit behind the first `length` of the 16 bytes is set.
local function has_host_bits(range, length)
    for index = math.floor(length / 8), 15 do
        local byte = range(index, 1):uint()
        if index * 8 < length then byte = byte % 2 ^ (8 - length % 8) end
        if byte ~= 0 then return true end
    end
    return false
end

local function add_reserved(tree, range)
    local item = tree:add(fields.reserved, range)
    if range:uint() ~= 0 then item:add_proto_expert_info(experts.reserved) end
end

local function add_code(tree, range)
    local code = range:uint()
    local item = tree:add(fields.code, range)
    if CODES[code]:find("unassigned") then item:add_proto_expert_info(experts.unassigned_code) end
    tree:add(fields.accepted, range, code < 8):set_generated()
    tree:append_text(", " .. CODES[code])
end

-- A prefix length and, `distance` bytes behind it, the prefix.
local function add_prefix(tree, range, distance)
    local length, prefix = range(0, 1):uint(), range(distance, 16)
    local length_item = tree:add(fields.prefix_length, range(0, 1))
    if distance > 1 then add_reserved(tree, range(1, 1)) end
    local item = tree:add(fields.prefix, prefix)
    if length == LINK_LOCAL_LENGTH then
        length_item:append_text(" (link-local address)")
        tree:add(fields.link_local, prefix, true):set_generated()
        if prefix(0, 1):uint() ~= 0xFE or prefix(1, 1):uint() < 0x80 or prefix(1, 1):uint() > 0xBF then
            item:add_proto_expert_info(experts.not_link_local)
        end
        tree:append_text(", link-local " .. tostring(prefix:ipv6()))
    else
        if length > 128 then
            length_item:add_proto_expert_info(experts.prefix_length)
        elseif has_host_bits(prefix, length) then
            item:add_proto_expert_info(experts.host_bits)
        end
        tree:append_text(", " .. tostring(prefix:ipv6()) .. "/" .. length)
    end
end

-- What an extension's place in the message says about it.
local function check_place(tree, subtype, message)
    if MESSAGES[subtype] ~= message.type then tree:add_proto_expert_info(experts.wrong_message) end
    if message.authenticated then tree:add_proto_expert_info(experts.unprotected) end
    if subtype == TUNNELING_MODE then
        if message.has_tunneling_mode then tree:add_proto_expert_info(experts.repeated) end
        message.has_tunneling_mode = true
        if message.type == REQUEST and not message.co_located then
            tree:add_proto_expert_info(experts.not_co_located)
        end
    end
end

-- One extension of type 152, whole; `range` begins with its type.
local function add_extension(root, range, message)
    local length = range(1, 1):uint()
    local tree = root:add(dsmipv4, range, "DSMIPv4 Extension")
    tree:add(fields.type, range(0, 1))
    local length_item = tree:add(fields.length, range(1, 1))
    if length == 0 then
        tree:add_proto_expert_info(experts.no_subtype)
        return
    end
    local subtype = range(2, 1):uint()
    local subtype_item = tree:add(fields.subtype, range(2, 1))
    local name = SUBTYPES[subtype]
    if not name then
        subtype_item:add_proto_expert_info(experts.unknown_subtype)
        if length > 1 then tree:add(fields.data, range(3)) end
        return
    end
    tree:set_text(name)
    if length ~= LENGTHS[subtype] then
        length_item:add_proto_expert_info(
            experts.wrong_length, ("Length %d instead of %d"):format(length, LENGTHS[subtype]))
        if length > 1 then tree:add(fields.data, range(3)) end
        return
    end
    if subtype == PREFIX_REQUEST then
        add_prefix(tree, range(3), 1)
    elseif subtype == PREFIX_REPLY then
        add_code(tree, range(3, 1))
        add_prefix(tree, range(4), 2)
    else
        add_reserved(tree, range(3, 1))
    end
    check_place(tree, subtype, message)
end

-- Type, header and length of the extension at `offset`; no header where its length field is not there. Type 0 is one
-- byte of padding (RFC 5944, 1.8).
local function extension_sizes(payload, offset)
    local left = payload:len() - offset
    local kind = payload(offset, 1):uint()
    if kind == 0 then return kind, 1, 0 end
    if LONG_LENGTH[kind] then
        if left < 4 then return kind end
        return kind, 4, payload(offset + 2, 2):uint()
    end
    if left < 2 then return kind end
    return kind, 2, payload(offset + 1, 1):uint()
end

local function dissect(payload, root)
    if payload:len() == 0 then return end
    local message = { type = payload(0, 1):uint() }
    local offset = HEADER_LENGTHS[message.type]
    if not offset or payload:len() <= offset then return end
    -- Bit D of a request (RFC 5944, 3.3).
    message.co_located = message.type == REQUEST and payload(1, 1):bitfield(2, 1) == 1
    while offset < payload:len() do
        local kind, header, length = extension_sizes(payload, offset)
        local rest = payload(offset)
        if not header or header + length > rest:len() then
            if kind == EXTENSION_TYPE then
                local tree = root:add(dsmipv4, rest, "DSMIPv4 Extension, cut off")
                tree:add(fields.type, rest(0, 1))
                if header then tree:add(fields.length, rest(1, 1)) end
                tree:add_proto_expert_info(experts.truncated)
            end
            return
        end
        if kind == EXTENSION_TYPE then add_extension(root, rest(0, header + length), message) end
        if kind == MOBILE_HOME_AUTHENTICATION then message.authenticated = true end
        offset = offset + header + length
    end
end

function dsmipv4.dissector(_, _, root)
    -- A frame may have several UDP headers: in a tunnel, or quoted in an ICMP error. Ports belong to the payload that
    -- begins behind their header.
    local sources, destinations = { udp_source() }, { udp_destination() }
    for _, payload in ipairs({ udp_payload() }) do
        for index, source in ipairs(sources) do
            local is_header = source.offset + UDP_HEADER_LENGTH == payload.offset
            if is_header and (source.value == PORT or destinations[index].value == PORT) then
                dissect(payload.range, root)
                break
            end
        end
    end
end

register_postdissector(dsmipv4)
