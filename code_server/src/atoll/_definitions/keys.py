"""Asset keys, for whoever defines assets. What they are stands in `atoll._keys`.

The host needs keys as well and knows nothing of definitions, so the classes live further down.
Values that were pickled by earlier releases name this module.
"""

from atoll import _keys

AssetCheckKey = _keys.AssetCheckKey
AssetJobKey = _keys.AssetJobKey
AssetKey = _keys.AssetKey
AssetOrCheckKey = _keys.AssetOrCheckKey
CoercibleToAssetKey = _keys.CoercibleToAssetKey
CoercibleToAssetKeyPrefix = _keys.CoercibleToAssetKeyPrefix
EntityKey = _keys.EntityKey
in_words = _keys.in_words
op_name_of = _keys.op_name_of
prefix_parts = _keys.prefix_parts
