"""Talk to a bundle: load it, render prompts, answer, call tools."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.chat.attachments import check_kinds as check_kinds
    from litertlm.services.chat.attachments import kinds_of as kinds_of
    from litertlm.services.chat.attachments import kinds_taken as kinds_taken
    from litertlm.services.chat.attachments import read_attachment as read_attachment
    from litertlm.services.chat.chat import Answer as Answer
    from litertlm.services.chat.chat import Chat as Chat
    from litertlm.services.chat.chat import ChatOptions as ChatOptions
    from litertlm.services.chat.chat import Message as Message
    from litertlm.services.chat.chat import Render as Render
    from litertlm.services.chat.config import read_config as read_config
    from litertlm.services.chat.config import set_default as set_default
    from litertlm.services.chat.config import unset_default as unset_default
    from litertlm.services.chat.load import LoadedModel as LoadedModel
    from litertlm.services.chat.load import chat_options as chat_options
    from litertlm.services.chat.load import load_model as load_model
    from litertlm.services.chat.load import room_for_cache as room_for_cache
    from litertlm.services.chat.options import OPTIONS as OPTIONS
    from litertlm.services.chat.options import Option as Option
    from litertlm.services.chat.options import RunOptions as RunOptions
    from litertlm.services.chat.options import Value as Value
    from litertlm.services.chat.options import find_option as find_option
    from litertlm.services.chat.options import parse_value as parse_value
    from litertlm.services.chat.render import is_base_model as is_base_model
    from litertlm.services.chat.render import plain_render as plain_render
    from litertlm.services.chat.render import template_render as template_render
    from litertlm.services.chat.render import template_source as template_source
    from litertlm.services.chat.session_pool import SessionPool as SessionPool
    from litertlm.services.chat.stream import Piece as Piece
    from litertlm.services.chat.tool_calls import Call as Call
    from litertlm.services.chat.tool_calls import read_calls as read_calls
    from litertlm.services.chat.tool_limits import ToolInterrupted as ToolInterrupted
    from litertlm.services.chat.tools import Toolbox as Toolbox
    from litertlm.services.chat.tools import answer_with_tools as answer_with_tools
    from litertlm.services.chat.tools import load_tools as load_tools
    from litertlm.services.chat.tools import split_calls as split_calls
    from litertlm.services.chat.tools import tool_parameters as tool_parameters

EXPORTS = {
    "attachments": (
        "check_kinds",
        "kinds_of",
        "kinds_taken",
        "read_attachment",
    ),
    "chat": (
        "Answer",
        "Chat",
        "ChatOptions",
        "Message",
        "Render",
    ),
    "config": (
        "read_config",
        "set_default",
        "unset_default",
    ),
    "load": (
        "LoadedModel",
        "chat_options",
        "load_model",
        "room_for_cache",
    ),
    "options": (
        "OPTIONS",
        "Option",
        "RunOptions",
        "Value",
        "find_option",
        "parse_value",
    ),
    "render": (
        "is_base_model",
        "plain_render",
        "template_render",
        "template_source",
    ),
    "session_pool": ("SessionPool",),
    "stream": ("Piece",),
    "tool_calls": (
        "Call",
        "read_calls",
    ),
    "tool_limits": ("ToolInterrupted",),
    "tools": (
        "Toolbox",
        "answer_with_tools",
        "load_tools",
        "split_calls",
        "tool_parameters",
    ),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
