from haystack import indexes

from tests.compatibility.shop.models import Album


class AlbumIndex(indexes.SearchIndex, indexes.Indexable):
    text = indexes.CharField(document=True, model_attr="title")

    def get_model(self):
        return Album
