from typing import Any

from vinyl.web import forms

from .models import Album, Genre, Review

COVER_BYTES = 2 * 2**20


class SearchForm(forms.Form):
    q = forms.CharField(
        label="Title or artist",
        required=False,
        max_length=100,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Title or artist"}
        ),
    )
    genre = forms.ModelChoiceField(
        Genre.objects.all(),
        to_field_name="slug",
        required=False,
        empty_label="All genres",
    )


class ReviewForm(forms.ModelForm[Review]):
    rating = forms.TypedChoiceField(
        coerce=int,
        choices=[(stars, f"{stars} {'★' * stars}") for stars in range(5, 0, -1)],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one to five stars."},
    )

    class Meta:
        model = Review
        fields = ["author", "rating", "text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 5})}

    def clean_author(self) -> str:
        """Ask the database, as any form may: the view runs it inside the bridge."""
        author: str = self.cleaned_data["author"]
        if self.instance.album.reviews.filter(author__iexact=author).exists():
            raise forms.ValidationError("You have reviewed this album already.")
        return author


class CoverForm(forms.ModelForm[Album]):
    class Meta:
        model = Album
        fields = ["cover"]

    def clean_cover(self) -> Any:
        cover = self.cleaned_data["cover"]
        if cover and cover.size > COVER_BYTES:
            raise forms.ValidationError("The picture is larger than 2 MB.")
        return cover
